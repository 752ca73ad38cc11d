//! What captures and cancellations have in common: noted under the payment's lock, asked for, then written down.
//!
//! A crash, a timeout or a lost answer between the two leaves the call open. The same request goes on from there, and so does the
//! job that reconciles, both under the same Stripe key; another change is refused until the outcome is known.

use banyan_db::retry_serialization;
use banyan_fail_points::fail_points;

use super::settle::settle;
use super::{Env, outcome_of_change};
use crate::domain::attempt::{Attempt, Calls, Operation};
use crate::domain::money::Minor;
use crate::domain::payment::{ChargeResult, Outcome, Payment, PaymentStatus, Reason};
use crate::storage::attempt::{self, NewAttempt};
use crate::storage::payment;
use crate::stripe::IdempotencyKey;

/// Why a payment was not captured or canceled.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The user has no such payment.
    #[error("there is no such payment")]
    NoPayment,
    /// Not from this status.
    #[error("A payment that is {status} cannot be {participle}.")]
    Impossible {
        /// Where the payment stands.
        status: PaymentStatus,
        /// What was to be done with it.
        participle: &'static str,
    },
    /// More was asked for than is reserved.
    #[error("is more than was authorised")]
    MoreThanAuthorised,
    /// Another change is undecided, or may be under way.
    #[error("The outcome of an earlier request for this payment is not known yet.")]
    Undecided,
    /// The same capture is under way.
    #[error("This payment is being captured.")]
    BeingCaptured,
    /// Stripe did not capture.
    #[error("The payment provider refused to capture this payment.")]
    CaptureRefused,
    /// It turned out to be canceled.
    #[error("The payment was canceled.")]
    WasCanceled,
    /// Stripe did not cancel.
    #[error("The payment is {0} and cannot be canceled.")]
    CancelRefused(PaymentStatus),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What Stripe is to be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// To take this much.
    Capture(Minor),
    /// To give what is reserved free.
    Cancel,
}

/// What is to be done about a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Nothing: it was done before.
    Done,
    /// Stripe is asked.
    Ask(Change),
}

impl Change {
    /// The change that an open call was made for.
    pub(super) fn of(attempt: &Attempt) -> Option<Self> {
        match (attempt.operation, attempt.amount) {
            (Operation::Capture, Some(amount)) => Some(Self::Capture(amount)),
            (Operation::Cancel, _) => Some(Self::Cancel),
            _ => None,
        }
    }

    pub(super) const fn operation(self) -> Operation {
        match self {
            Self::Capture(_) => Operation::Capture,
            Self::Cancel => Operation::Cancel,
        }
    }

    pub(super) const fn reason(self) -> Reason {
        match self {
            Self::Capture(_) => Reason::Capture,
            Self::Cancel => Reason::Cancel,
        }
    }

    pub(super) fn noted<'a>(self, payment: &'a Payment, env: &Env) -> NewAttempt<'a> {
        NewAttempt {
            payment_id: payment.id,
            operation: self.operation(),
            amount: match self {
                Self::Capture(amount) => Some(amount),
                Self::Cancel => None,
            },
            client: (payment.user_id, &payment.idempotency_key),
            now: env.now(),
        }
    }
}

/// Decides under the payment's lock what is to be done, and notes the call if one is to be made.
pub(super) async fn note(
    env: &Env,
    user_id: i64,
    payment_id: i64,
    decide: impl Fn(&Payment, &Calls) -> Result<Step, ChangeError>,
) -> Result<(Payment, Step), ChangeError> {
    retry_serialization(|| async {
        let mut transaction = env.pool.begin().await?;
        env.ownership.hold(&mut transaction, user_id).await?;
        let payment = payment::lock_own(&mut transaction, user_id, payment_id).await?;
        let payment = payment.ok_or(ChangeError::NoPayment)?;
        let calls = attempt::of_payment(&mut transaction, payment.id).await?;
        let step = decide(&payment, &calls)?;
        if let Step::Ask(change) = step {
            attempt::add(&mut transaction, &change.noted(&payment, env)).await?;
        }
        fail_points!("change.note.commit", transaction.commit().await)?;
        Ok((payment, step))
    })
    .await
}

/// Asks Stripe for a change that was noted, and writes down what came of it.
pub(super) async fn send(env: &Env, payment: &Payment, change: Change) -> Result<Payment, sqlx::Error> {
    let outcome = match &payment.stripe_payment_intent_id {
        Some(intent) => ask(env, payment.id, intent, change).await,
        // The table does not allow it.
        None => Outcome::of(ChargeResult::Unknown),
    };
    let settled = settle(env, payment, &outcome, change.reason()).await?;
    Ok(settled.payment)
}

async fn ask(env: &Env, payment_id: i64, intent: &str, change: Change) -> Outcome {
    let deadline = env.deadline();
    outcome_of_change(&match change {
        Change::Capture(amount) => {
            let key = IdempotencyKey::capture(payment_id);
            env.stripe
                .capture_payment_intent(intent, amount.0, &key, deadline)
                .await
        }
        Change::Cancel => {
            let key = IdempotencyKey::cancel(payment_id);
            env.stripe.cancel_payment_intent(intent, &key, deadline).await
        }
    })
}

/// Whether a capture or cancellation of the payment is still without an outcome.
pub(super) async fn is_undecided(env: &Env, payment_id: i64) -> Result<bool, sqlx::Error> {
    let mut connection = env.pool.acquire().await?;
    let calls = attempt::of_payment(&mut connection, payment_id).await?;
    Ok(calls.undecided().is_some())
}
