//! A payment has a new state.

use super::WebhookError;
use crate::domain::payment::{ChargeResult, Payment, PaymentStatus, Reason};
use crate::domain::webhook::WebhookStatus;
use crate::storage::{customer, payment};
use crate::stripe::PaymentIntent;
use crate::use_cases::{Env, of_intent, settle};

/// Brings the payment of a PaymentIntent to where Stripe has it.
pub(super) async fn changed(env: &Env, intent_id: &str) -> Result<WebhookStatus, WebhookError> {
    let mut connection = env.pool.acquire().await?;
    let known = payment::of_intent(&mut connection, intent_id).await?;
    drop(connection);
    // Every charge has its event, and most come when all is settled: Stripe is asked only where its answer can change something.
    if known.as_ref().is_some_and(|payment| is_settled(payment.status)) {
        return Ok(WebhookStatus::Processed);
    }
    let Some(intent) = env
        .stripe
        .retrieve_payment_intent(intent_id, env.deadline())
        .await?
    else {
        return Ok(WebhookStatus::Ignored);
    };
    let payment = match known {
        Some(payment) => Some(payment),
        None => lost(env, &intent).await?,
    };
    match payment {
        Some(payment) => apply(env, &payment, &intent).await,
        None => Ok(WebhookStatus::Ignored),
    }
}

/// The payment of a PaymentIntent, if money was taken for it; the news of that may still be on their way.
pub(super) async fn completed_of(env: &Env, intent_id: &str) -> Result<Option<Payment>, WebhookError> {
    if let Some(payment) = of_intent_if_completed(env, intent_id).await? {
        return Ok(Some(payment));
    }
    if changed(env, intent_id).await? == WebhookStatus::Received {
        return Err(WebhookError::NotNow);
    }
    of_intent_if_completed(env, intent_id).await
}

async fn of_intent_if_completed(env: &Env, intent_id: &str) -> Result<Option<Payment>, WebhookError> {
    let found = payment::of_intent(&mut *env.pool.acquire().await?, intent_id).await?;
    Ok(found.filter(|payment| payment.completed_at.is_some()))
}

/// The payment that the intent was made for, where the answer to the charge is not written down yet, or got lost.
async fn lost(env: &Env, intent: &PaymentIntent) -> Result<Option<Payment>, WebhookError> {
    let Some((payment_id, customer)) = intent.payment_id().zip(intent.customer.as_deref()) else {
        return Ok(None);
    };
    let mut connection = env.pool.acquire().await?;
    let Some(payment) = payment::get(&mut connection, payment_id).await? else {
        return Ok(None);
    };
    let owner = customer::of_user(&mut connection, payment.user_id).await?;
    let is_ours = payment.stripe_payment_intent_id.is_none()
        && owner.is_some_and(|owner| owner.stripe_customer_id == customer);
    Ok(is_ours.then_some(payment))
}

async fn apply(env: &Env, payment: &Payment, intent: &PaymentIntent) -> Result<WebhookStatus, WebhookError> {
    let outcome = of_intent(intent);
    if outcome.result == ChargeResult::Unknown {
        return Ok(WebhookStatus::Processed);
    }
    settle::settle(env, payment, &outcome, Reason::Webhook).await?;
    Ok(WebhookStatus::Processed)
}

/// Whether no answer of Stripe's can change the status any more.
fn is_settled(status: PaymentStatus) -> bool {
    PaymentStatus::ALL.iter().all(|next| !status.may_become(*next))
}
