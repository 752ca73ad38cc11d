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
    /// The time, UTC.
    pub now: OffsetDateTime,
}

/// Keeps an event, unless it is kept already; its row and how far it was taken.
///
/// # Errors
/// The database's.
pub async fn keep(
    connection: &mut PgConnection,
    event: &NewWebhookEvent<'_>,
) -> Result<(i64, WebhookStatus), sqlx::Error> {
    // The update changes nothing; it is what returns a row that another delivery wrote a moment ago.
    let (id, status): (i64, String) = sqlx::query_as(
        "INSERT INTO stripe_webhook_event AS e (stripe_event_id, type, object_id, stripe_created_at, created_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (stripe_event_id) DO UPDATE SET type = e.type
         RETURNING id, status",
    )
    .bind(event.stripe_event_id)
    .bind(event.kind)
    .bind(text(Some(event.object_id), 255))
    .bind(event.happened_at)
    .bind(event.now)
    .fetch_one(connection)
    .await?;
    let status = WebhookStatus::from_name(&status).ok_or_else(|| unknown("stripe_webhook_event.status"))?;
    Ok((id, status))
}

/// Notes that an event was handled. Of two deliveries at once the first counts.
///
/// # Errors
/// The database's.
pub async fn close(
    connection: &mut PgConnection,
    id: i64,
    status: WebhookStatus,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE stripe_webhook_event SET status = $2, processed_at = $3 WHERE id = $1 AND status = 'received'",
    )
    .bind(id)
    .bind(status.name())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
