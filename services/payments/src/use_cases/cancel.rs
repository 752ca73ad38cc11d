//! Giving reserved money free.

use time::OffsetDateTime;

use super::Env;
use super::change::{Change, ChangeError, Step, is_undecided, note, send};
use crate::domain::attempt::{Calls, Operation};
use crate::domain::payment::{Payment, PaymentStatus};

/// Cancels a payment; asked for again, it is answered with the canceled payment. One that is in its old status afterwards has an
/// unknown outcome.
///
/// # Errors
/// [`ChangeError`]: it was not canceled.
pub async fn cancel(env: &Env, user_id: i64, payment_id: i64) -> Result<Payment, ChangeError> {
    let lease_start = env.lease_start();
    let decide = |payment: &Payment, calls: &Calls| decide(payment, calls, lease_start);
    let (payment, step) = note(env, user_id, payment_id, decide).await?;
    let Step::Ask(change) = step else {
        return Ok(payment);
    };
    let settled = send(env, &payment, change).await?;
    if settled.status != PaymentStatus::Canceled && !is_undecided(env, settled.id).await? {
        return Err(ChangeError::CancelRefused(settled.status));
    }
    Ok(settled)
}

fn decide(payment: &Payment, calls: &Calls, lease_start: OffsetDateTime) -> Result<Step, ChangeError> {
    if payment.status == PaymentStatus::Canceled {
        return Ok(Step::Done);
    }
    if !payment.status.is_cancelable() {
        return Err(ChangeError::Impossible {
            status: payment.status,
            participle: "canceled",
        });
    }
    let other = calls
        .undecided()
        .is_some_and(|earlier| earlier.operation != Operation::Cancel);
    if other || calls.is_running(lease_start) {
        return Err(ChangeError::Undecided);
    }
    Ok(Step::Ask(Change::Cancel))
}
