//! Notifications that a job takes up again.

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool, types::Json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// What is kept of an event while its notification may have to be sent by a job.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Payload {
    /// The event's subject.
    pub subject: String,
    /// Its position there.
    pub sequence: i64,
    /// Its data.
    pub data: serde_json::Value,
}

/// A notification to try again.
#[derive(Debug, FromRow)]
pub struct Due {
    /// The event.
    pub event_id: Uuid,
    /// Its type.
    pub event_type: String,
    /// Tries made.
    pub attempts: i32,
    /// The trace it belongs to.
    pub trace_id: Option<String>,
    /// The event's data.
    pub payload: Json<Payload>,
}

/// Which notifications to take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Queued ones that nobody tried for longer than the retry ladder takes.
    Pending,
    /// Failed ones that another try may mend.
    Failed,
}

/// Claims up to `limit` due notifications for `lease`: two processes never get the same one, and one whose process dies is due
/// again after the lease.
///
/// # Errors
/// The database's.
pub async fn claim(
    pool: &PgPool,
    kind: Kind,
    now: OffsetDateTime,
    lease: Duration,
    max_attempts: i32,
    limit: i64,
) -> Result<Vec<Due>, sqlx::Error> {
    let status = match kind {
        Kind::Pending => "queued",
        Kind::Failed => "failed",
    };
    sqlx::query_as(
        "UPDATE notification_log SET next_attempt_at = $3
         WHERE id IN (
           SELECT id FROM notification_log
           WHERE status = $1 AND status IN ('queued', 'failed') AND NOT digest AND next_attempt_at <= $2
             AND payload IS NOT NULL AND (status = 'queued' OR (retryable AND attempts < $4))
           ORDER BY next_attempt_at LIMIT $5 FOR UPDATE SKIP LOCKED)
         RETURNING event_id, event_type, attempts, trace_id, payload",
    )
    .bind(status)
    .bind(now)
    .bind(now + lease)
    .bind(max_attempts)
    .bind(limit)
    .fetch_all(pool)
    .await
}
