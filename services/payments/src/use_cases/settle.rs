//! Writing down what is known of a payment, and of its invoice where it is one's.

use banyan_db::retry_serialization;
use banyan_fail_points::fail_points;
use sqlx::PgConnection;

use super::invoice_payments;
use crate::domain::payment::{Outcome, Payment, Reason};
use crate::storage::charge::{self, Settled, Settlement};
use crate::use_cases::{EFFECT_OWNER, Env};

/// Writes an outcome down once, whoever learned it: the payment's own statement, and in its transaction what follows for the
/// subscription where the payment is for an invoice.
///
/// # Errors
/// The database's; [`sqlx::Error::RowNotFound`] where there is no such payment.
pub async fn settle(
    env: &Env,
    payment: &Payment,
    outcome: &Outcome,
    reason: Reason,
) -> Result<Settled, sqlx::Error> {
    if payment.request_fingerprint.is_some() {
        return retry_serialization(async || {
            settle_in(&mut *env.pool.acquire().await?, env, payment, outcome, reason).await
        })
        .await;
    }
    retry_serialization(async || {
        let mut transaction = env.pool.begin().await?;
        let settled = settle_in(&mut transaction, env, payment, outcome, reason).await?;
        fail_points!("settle.commit", transaction.commit().await)?;
        Ok(settled)
    })
    .await
}

/// As [`settle`], in the caller's transaction, which has locked no subscription.
///
/// # Errors
/// The same.
pub async fn settle_in(
    connection: &mut PgConnection,
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
    let settled = charge::settle(connection, &settlement).await?;
    let settled = settled.ok_or(sqlx::Error::RowNotFound)?;
    if settled.changed {
        invoice_payments::follow(connection, env, &settled.payment, settlement.now).await?;
    }
    Ok(settled)
}
