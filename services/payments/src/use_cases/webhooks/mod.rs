//! Taking Stripe's events: kept once per event id, handled until that has succeeded once.
//!
//! Events come late, twice and out of order (<https://docs.stripe.com/webhooks#event-ordering>), so an event only says where to look:
//! the object is fetched again, and its present state applied. Whatever it changes is changed once, under a lock, so the same event
//! handled twice at once does no harm. Disputes are the exception where Stripe's stand-in has none: there the event's own copy counts,
//! unless a newer one was seen.

mod disputes;
mod payments;
mod payouts;
mod refunds;

use bytes::Bytes;

use super::Env;
use crate::domain::webhook::WebhookStatus;
use crate::monolith::NoAnswer;
use crate::storage::webhook_event::{self, NewWebhookEvent};
use crate::stripe::{Event, StripeError};

/// Why an event was not handled; Stripe sends it again.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Stripe did not say how the object stands.
    #[error(transparent)]
    Stripe(#[from] StripeError),
    /// It is about nothing of ours, and could not be passed on.
    #[error(transparent)]
    Monolith(#[from] NoAnswer),
    /// What the event is about cannot be settled now.
    #[error("the event cannot be handled now")]
    NotNow,
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// An event as it came.
#[derive(Clone, Debug)]
pub struct Delivery<'a> {
    /// The event, which was verified.
    pub event: &'a Event,
    /// The body that it was read from.
    pub body: Bytes,
    /// The header that it was verified by.
    pub signature: &'a str,
}

/// Handles an event. While payments move from the monolith, one that is about nothing of ours is passed on to it.
///
/// # Errors
/// [`WebhookError`]: the event stays `received`.
pub async fn take(env: &Env, delivery: Delivery<'_>) -> Result<(), WebhookError> {
    let event = delivery.event;
    let kept = NewWebhookEvent {
        stripe_event_id: &event.id,
        kind: &event.kind,
        object_id: &event.object_id,
        happened_at: event.created,
        now: env.now(),
    };
    let mut connection = env.pool.acquire().await?;
    let (id, status) = webhook_event::keep(&mut connection, &kept).await?;
    // No connection waits for Stripe.
    drop(connection);
    if status != WebhookStatus::Received {
        return Ok(());
    }
    let status = handle(env, event).await?;
    if status == WebhookStatus::Received {
        return Err(WebhookError::NotNow);
    }
    if status == WebhookStatus::Ignored
        && let Some(monolith) = &env.monolith
    {
        monolith.tell(delivery.body, delivery.signature).await?;
    }
    let mut connection = env.pool.acquire().await?;
    Ok(webhook_event::close(&mut connection, id, status, env.now()).await?)
}

async fn handle(env: &Env, event: &Event) -> Result<WebhookStatus, WebhookError> {
    match event.kind.as_str() {
        "payment_intent.succeeded"
        | "payment_intent.payment_failed"
        | "payment_intent.canceled"
        | "payment_intent.amount_capturable_updated"
        | "payment_intent.requires_action" => payments::changed(env, &event.object_id).await,
        "charge.refunded" | "refund.updated" | "refund.failed" => refunds::changed(env, event).await,
        "payout.paid" | "payout.failed" | "payout.canceled" => payouts::changed(env, &event.object_id).await,
        kind if kind.starts_with("charge.dispute.") => disputes::changed(env, event).await,
        _ => Ok(WebhookStatus::Ignored),
    }
}
