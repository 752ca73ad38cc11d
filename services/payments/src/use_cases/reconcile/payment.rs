//! Charges.

use banyan_db::retry_serialization;
use banyan_fail_points::fail_points;

use super::ReconcileError;
use crate::domain::attempt::{GIVE_UP_AFTER, Operation, REPLAY_WINDOW};
use crate::domain::payment::{ChargeResult, Outcome, Payment, PaymentStatus, Reason};
use crate::storage::attempt::{self, NewAttempt};
use crate::storage::{customer, payment};
use crate::stripe::PaymentIntent;
use crate::use_cases::settle::settle;
use crate::use_cases::{Env, ask, of_intent};

/// Settles one payment; false while its outcome is still unknown.
pub(super) async fn reconcile(env: &Env, payment_id: i64) -> Result<bool, ReconcileError> {
    let mut connection = env.pool.acquire().await?;
    let payment = payment::get(&mut connection, payment_id).await?;
    let Some(payment) = payment.filter(|payment| payment.status == PaymentStatus::Pending) else {
        return Ok(true);
    };
    let customer = customer::stripe_id(&mut connection, payment.customer_id).await?;
    let method = customer::stripe_ids_of(&mut connection, payment.id)
        .await?
        .map(|(_, method)| method);
    drop(connection);
    let age = env.now() - payment.created_at;
    let outcome = match (look_up(env, &payment, &customer).await?, method) {
        (Some(intent), _) => Some(of_intent(&intent)),
        (None, _) if payment.stripe_payment_intent_id.is_some() => {
            // Stripe named it once: more likely the key is of another account than that there was no payment.
            tracing::error!(payment_id, "Stripe does not have the PaymentIntent of a payment");
            None
        }
        (None, None) => Some(declined(
            "payment_method_removed",
            "The payment method was removed.",
        )),
        (None, Some(method)) if age < REPLAY_WINDOW => replay(env, &payment, &customer, &method).await?,
        (None, Some(_)) if age > GIVE_UP_AFTER => {
            Some(declined("not_processed", "The payment was not processed."))
        }
        (None, Some(_)) => None,
    };
    let Some(outcome) = outcome else {
        return Ok(false);
    };
    let settled = settle(env, &payment, &outcome, Reason::Reconcile).await?;
    Ok(settled.payment.status != PaymentStatus::Pending)
}

async fn look_up(
    env: &Env,
    payment: &Payment,
    customer: &str,
) -> Result<Option<PaymentIntent>, ReconcileError> {
    let deadline = env.deadline();
    let found = if let Some(intent) = &payment.stripe_payment_intent_id {
        env.stripe.retrieve_payment_intent(intent, deadline).await?
    } else {
        let created_at = payment.created_at;
        env.stripe
            .find_payment_intent(payment.id, customer, created_at, deadline)
            .await?
    };
    Ok(found)
}

/// Asks for the same charge again, unless another process may be doing so.
async fn replay(
    env: &Env,
    payment: &Payment,
    customer: &str,
    method: &str,
) -> Result<Option<Outcome>, ReconcileError> {
    let noted = retry_serialization(|| note(env, payment)).await?;
    if !noted {
        return Ok(None);
    }
    Ok(Some(ask(env, payment, customer, method).await))
}

async fn note(env: &Env, payment: &Payment) -> Result<bool, sqlx::Error> {
    let mut transaction = env.pool.begin().await?;
    let locked = payment::lock(&mut transaction, payment.id).await?;
    let is_pending = locked.is_some_and(|locked| locked.status == PaymentStatus::Pending);
    let calls = attempt::of_payment(&mut transaction, payment.id).await?;
    if !is_pending || calls.is_running(env.lease_start()) {
        return Ok(false);
    }
    let call = NewAttempt {
        payment_id: payment.id,
        operation: Operation::Charge,
        amount: None,
        client: (payment.user_id, &payment.idempotency_key),
        now: env.now(),
    };
    attempt::add(&mut transaction, &call).await?;
    fail_points!("reconcile.payment.note.commit", transaction.commit().await)?;
    Ok(true)
}

fn declined(code: &str, message: &str) -> Outcome {
    Outcome {
        code: Some(code.to_owned()),
        message: Some(message.to_owned()),
        ..Outcome::of(ChargeResult::Declined)
    }
}
