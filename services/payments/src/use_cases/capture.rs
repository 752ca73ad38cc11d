//! Taking money that was reserved.

use super::Env;
use super::change::{Change, ChangeError, Step, is_undecided, note, send};
use crate::domain::attempt::Calls;
use crate::domain::money::Minor;
use crate::domain::payment::{Payment, PaymentStatus};
use time::OffsetDateTime;

/// Captures a payment, or a part of it; without an amount all that is reserved. Asked for again, it is answered with the captured
/// payment. One that is still `requires_capture` afterwards has an unknown outcome.
///
/// # Errors
/// [`ChangeError`]: nothing was captured.
pub async fn capture(
    env: &Env,
    user_id: i64,
    payment_id: i64,
    amount: Option<Minor>,
) -> Result<Payment, ChangeError> {
    let lease_start = env.lease_start();
    let decide = |payment: &Payment, calls: &Calls| decide(payment, calls, amount, lease_start);
    let (payment, step) = note(env, user_id, payment_id, decide).await?;
    let Step::Ask(change) = step else {
        return Ok(payment);
    };
    let settled = send(env, &payment, change).await?;
    match settled.status {
        PaymentStatus::RequiresCapture if !is_undecided(env, settled.id).await? => {
            Err(ChangeError::CaptureRefused)
        }
        PaymentStatus::Canceled => Err(ChangeError::WasCanceled),
        _ => Ok(settled),
    }
}

fn decide(
    payment: &Payment,
    calls: &Calls,
    amount: Option<Minor>,
    lease_start: OffsetDateTime,
) -> Result<Step, ChangeError> {
    let impossible = ChangeError::Impossible {
        status: payment.status,
        participle: "captured",
    };
    let Some(wanted) = amount.or(payment.amount_authorized) else {
        return Err(impossible);
    };
    let was_reserved = payment.amount_authorized.is_some();
    if payment.completed_at.is_some() && was_reserved && payment.amount == wanted {
        return Ok(Step::Done);
    }
    if payment.status != PaymentStatus::RequiresCapture {
        return Err(impossible);
    }
    if wanted > payment.amount {
        return Err(ChangeError::MoreThanAuthorised);
    }
    let change = Change::Capture(wanted);
    if calls
        .undecided()
        .is_some_and(|earlier| Change::of(earlier) != Some(change))
    {
        return Err(ChangeError::Undecided);
    }
    if calls.is_running(lease_start) {
        return Err(ChangeError::BeingCaptured);
    }
    Ok(Step::Ask(change))
}
