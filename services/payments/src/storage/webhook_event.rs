//! Stripe's events, once per event id. Their content is not kept: it may hold personal data, and what counts is asked of Stripe again.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{text, unknown};
use crate::domain::webhook::WebhookStatus;

/// An event as it came in.
#[derive(Clone, Copy, Debug)]
pub struct NewWebhookEvent<'a> {
    /// `evt_…`
    pub stripe_event_id: &'a str,
    /// Such as `payout.paid`.
    pub kind: &'a str,
    /// What it is about; empty where it does not say.
    pub object_id: &'a str,
    /// When it happened, UTC.
    pub happened_at: OffsetDateTime,
    /// What became of it.
    pub status: WebhookStatus,
    /// The time, UTC.
    pub now: OffsetDateTime,
}

/// What became of an event; `None` where it is not kept.
///
/// # Errors
/// The database's.
pub async fn status(
    connection: &mut PgConnection,
    stripe_event_id: &str,
) -> Result<Option<WebhookStatus>, sqlx::Error> {
    let status: Option<String> =
        sqlx::query_scalar("SELECT status FROM stripe_webhook_event WHERE stripe_event_id = $1")
            .bind(stripe_event_id)
            .fetch_optional(connection)
            .await?;
    let known = |status: String| {
        WebhookStatus::from_name(&status).ok_or_else(|| unknown("stripe_webhook_event.status"))
    };
    status.map(known).transpose()
}

/// Keeps an event with what became of it. Of two deliveries at once the first that was handled counts.
///
/// # Errors
/// The database's.
pub async fn keep(connection: &mut PgConnection, event: &NewWebhookEvent<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO stripe_webhook_event AS e
           (stripe_event_id, type, object_id, stripe_created_at, status, created_at, processed_at)
         VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $5 <> 'received' THEN $6 END)
         ON CONFLICT (stripe_event_id) DO UPDATE SET status = excluded.status, processed_at = excluded.processed_at
         WHERE e.status = 'received' AND excluded.status <> 'received'",
    )
    .bind(event.stripe_event_id)
    .bind(event.kind)
    .bind(text(Some(event.object_id), 255))
    .bind(event.happened_at)
    .bind(event.status.name())
    .bind(event.now)
    .execute(connection)
    .await?;
    Ok(())
}
