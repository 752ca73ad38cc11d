//! Refunds were made, by us or in Stripe's dashboard, or one has a new state.

use super::{WebhookError, payments};
use crate::domain::money::Minor;
use crate::domain::payment::{Payment, Reason};
use crate::domain::refund::RefundStatus;
use crate::domain::webhook::WebhookStatus;
use crate::storage::refund;
use crate::stripe::{Charge, Event, Refund};
use crate::use_cases::Env;
use crate::use_cases::adopt_refund::adopt_refund;
use crate::use_cases::refund::of_stripe;
use crate::use_cases::settle_refund::settle_refund;

/// Brings the refunds that the event is about to where Stripe has them.
pub(super) async fn changed(env: &Env, event: &Event) -> Result<WebhookStatus, WebhookError> {
    let deadline = env.deadline();
    let found = if event.kind == "charge.refunded" {
        match event
            .object::<Charge>()
            .ok()
            .and_then(|charge| charge.payment_intent)
        {
            Some(intent_id) => env.stripe.refunds_of(&intent_id, deadline).await?,
            None => Vec::new(),
        }
    } else {
        let found = env.stripe.retrieve_refund(&event.object_id, deadline).await?;
        found.into_iter().collect()
    };
    let mut status = WebhookStatus::Ignored;
    for refund in found {
        if settle(env, &refund).await? {
            status = WebhookStatus::Processed;
        }
    }
    Ok(status)
}

/// Settles one; false where it is no business of ours.
async fn settle(env: &Env, found: &Refund) -> Result<bool, WebhookError> {
    let Some(intent_id) = &found.payment_intent else {
        return Ok(false);
    };
    let Some(payment) = payments::completed_of(env, intent_id).await? else {
        return Ok(false);
    };
    let outcome = of_stripe(found);
    let id = match ours(env, &payment, found).await? {
        Some(id) => id,
        // It gave nothing back, and we know nothing of it.
        None if outcome.status == RefundStatus::Failed => return Ok(false),
        None => match adopt_refund(env, payment.id, &found.id, Minor(found.amount)).await? {
            Some(adopted) => adopted.id,
            None => return Ok(false),
        },
    };
    settle_refund(env, id, &outcome, Reason::Webhook).await?;
    Ok(true)
}

/// The row of a refund at Stripe: by Stripe's id, or by ours where the answer that names Stripe's is not written down yet, or got lost.
async fn ours(env: &Env, payment: &Payment, found: &Refund) -> Result<Option<i64>, sqlx::Error> {
    let mut connection = env.pool.acquire().await?;
    if let Some(known) = refund::of_stripe(&mut connection, &found.id).await? {
        return Ok(Some(known.id));
    }
    let Some(id) = found.refund_id() else {
        return Ok(None);
    };
    let asked_for = refund::get(&mut connection, id).await?;
    Ok(asked_for
        .filter(|refund| refund.payment_id == payment.id && refund.stripe_refund_id.is_none())
        .map(|refund| refund.id))
}
