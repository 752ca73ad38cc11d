//! Taking Stripe's events: handled until that has succeeded once, and kept once per event id.
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

/// Handles an event. While payments move from the monolith, one that is about nothing of ours is passed on to it, and the monolith alone
/// keeps it: the sync brings its row, and a second one of ours could not be carried there.
///
/// # Errors
/// [`WebhookError`]: Stripe sends the event again.
pub async fn take(env: &Env, delivery: Delivery<'_>) -> Result<(), WebhookError> {
    let event = delivery.event;
    let mut connection = env.pool.acquire().await?;
    let known = webhook_event::status(&mut connection, &event.id).await?;
    // No connection waits for Stripe.
    drop(connection);
    if known.is_some_and(|status| status != WebhookStatus::Received) {
        return Ok(());
    }
    let handled = handle(env, event).await;
    if let Some(monolith) = &env.monolith {
        match &handled {
            Ok(WebhookStatus::Ignored) => {
                return Ok(monolith.tell(delivery.body, delivery.signature).await?);
            }
            Ok(WebhookStatus::Processed) => {}
            // Whose it is, is not known yet.
            Ok(WebhookStatus::Received) => return Err(WebhookError::NotNow),
            Err(_) => return handled.map(|_| ()),
        }
    }
    let kept = NewWebhookEvent {
        stripe_event_id: &event.id,
        kind: &event.kind,
        object_id: &event.object_id,
        happened_at: event.created,
        status: *handled.as_ref().unwrap_or(&WebhookStatus::Received),
        now: env.now(),
    };
    let mut connection = env.pool.acquire().await?;
    webhook_event::keep(&mut connection, &kept).await?;
    match handled? {
        WebhookStatus::Received => Err(WebhookError::NotNow),
        WebhookStatus::Processed | WebhookStatus::Ignored => Ok(()),
    }
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
