//! Writing down what is known of a payment.

use banyan_db::retry_serialization;

use super::{EFFECT_OWNER, Env};
use crate::domain::payment::{Outcome, Payment, Reason};
use crate::storage::charge::{self, Settled, Settlement};

/// Writes an outcome down once, with all that follows from it, whoever learned it.
///
/// # Errors
/// The database's; [`sqlx::Error::RowNotFound`] where there is no such payment.
pub async fn settle(
    env: &Env,
    payment: &Payment,
    outcome: &Outcome,
    reason: Reason,
) -> Result<Settled, sqlx::Error> {
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
    settled.ok_or(sqlx::Error::RowNotFound)
}
