//! Refunds that were not made here.

use banyan_db::retry_serialization;

use super::Env;
use crate::domain::money::Minor;
use crate::domain::refund::Refund;
use crate::storage::{payment, refund};

/// The row of a refund that was made in Stripe's dashboard, made where there is none yet; pending until it is settled. `None` where there
/// is no such payment.
///
/// # Errors
/// The database's.
pub async fn adopt_refund(
    env: &Env,
    payment_id: i64,
    stripe_refund_id: &str,
    amount: Minor,
) -> Result<Option<Refund>, sqlx::Error> {
    retry_serialization(|| async {
        let mut transaction = env.pool.begin().await?;
        let Some(payment) = payment::lock(&mut transaction, payment_id).await? else {
            return Ok(None);
        };
        let refund = refund::adopt(&mut transaction, &payment, stripe_refund_id, amount, env.now()).await?;
        transaction.commit().await?;
        Ok(Some(refund))
    })
    .await
}
