//! Writing down what became of a payment.

use banyan_db::retry_serialization;

use super::{EFFECT_OWNER, Env};
use crate::domain::payment::{Outcome, Payment, Reason};
use crate::storage::charge::{self, Settlement};

/// Writes an outcome down once, with all that follows from it; the payment as it is then.
///
/// # Errors
/// The database's.
pub(super) async fn settle(
    env: &Env,
    payment: &Payment,
    outcome: &Outcome,
    reason: Reason,
) -> Result<Payment, sqlx::Error> {
    let settlement = Settlement {
        payment,
        outcome,
        reason,
        event_id: (env.new_id)(),
        effect_owner: EFFECT_OWNER,
        now: env.now(),
    };
    let settled = retry_serialization(|| async {
        let mut connection = env.pool.acquire().await?;
        charge::settle(&mut connection, &settlement).await
    })
    .await?;
    settled
        .map(|settled| settled.payment)
        .ok_or(sqlx::Error::RowNotFound)
}
