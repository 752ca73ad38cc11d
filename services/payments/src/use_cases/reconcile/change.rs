//! Captures and cancellations.

use banyan_db::retry_serialization;
use banyan_fail_points::fail_points;
use sqlx::PgConnection;

use super::ReconcileError;
use crate::domain::attempt::{Attempt, REPLAY_WINDOW};
use crate::domain::payment::{ChargeResult, Payment};
use crate::storage::{attempt, payment};
use crate::use_cases::change::{Change, is_undecided, send};
use crate::use_cases::settle::settle;
use crate::use_cases::{Env, of_intent};

/// Settles one capture or cancellation; false while its outcome is still unknown. Stripe is asked how the PaymentIntent stands, and
/// if nothing has happened to it, asked once more under the same key. A day later the change is given up.
pub(super) async fn reconcile(env: &Env, payment_id: i64) -> Result<bool, ReconcileError> {
    let mut connection = env.pool.acquire().await?;
    let Some(payment) = payment::get(&mut connection, payment_id).await? else {
        return Ok(true);
    };
    let calls = attempt::of_payment(&mut connection, payment_id).await?;
    drop(connection);
    let (Some(open), Some(intent)) = (calls.undecided(), &payment.stripe_payment_intent_id) else {
        return Ok(true);
    };
    let (Some(change), Some(first_asked)) = (Change::of(open), calls.first_asked(open.operation)) else {
        return Ok(true);
    };
    let found = env.stripe.retrieve_payment_intent(intent, env.deadline()).await?;
    let Some(outcome) = found.map(|found| of_intent(&found)) else {
        tracing::error!(payment_id, "Stripe does not have the PaymentIntent of a payment");
        return Ok(false);
    };
    match outcome.result {
        ChargeResult::Unknown => return Ok(false),
        ChargeResult::Succeeded | ChargeResult::Canceled => {
            settle(env, &payment, &outcome, change.reason()).await?;
        }
        ChargeResult::RequiresCapture | ChargeResult::RequiresAction
            if env.now() - first_asked < REPLAY_WINDOW =>
        {
            if !retry_serialization(|| note(env, &payment, open, change)).await? {
                return Ok(false);
            }
            send(env, &payment, change).await?;
        }
        _ => retry_serialization(|| give_up(env, &payment, open)).await?,
    }
    Ok(!is_undecided(env, payment_id).await?)
}

/// Ends a call that Stripe has forgotten and never carried out, unless it is being made anew.
async fn give_up(env: &Env, payment: &Payment, open: &Attempt) -> Result<(), sqlx::Error> {
    let mut transaction = env.pool.begin().await?;
    if is_idle(&mut transaction, env, payment, open).await? {
        attempt::give_up(&mut transaction, open.id, env.now()).await?;
    }
    transaction.commit().await
}

/// Notes that the call is made once more, unless another process may be making it.
async fn note(env: &Env, payment: &Payment, open: &Attempt, change: Change) -> Result<bool, sqlx::Error> {
    let mut transaction = env.pool.begin().await?;
    if !is_idle(&mut transaction, env, payment, open).await? {
        return Ok(false);
    }
    attempt::add(&mut transaction, &change.noted(payment, env)).await?;
    fail_points!("reconcile.change.note.commit", transaction.commit().await)?;
    Ok(true)
}

/// Locks the payment; whether the call is still the open one, and nobody can be making it.
async fn is_idle(
    connection: &mut PgConnection,
    env: &Env,
    payment: &Payment,
    open: &Attempt,
) -> Result<bool, sqlx::Error> {
    payment::lock(connection, payment.id).await?;
    let calls = attempt::of_payment(connection, payment.id).await?;
    let is_latest = calls.undecided().is_some_and(|latest| latest.id == open.id);
    Ok(is_latest && !calls.is_running(env.lease_start()))
}
