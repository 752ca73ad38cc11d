//! The audit log, read and tidied.

use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::BORN_HERE;
use crate::domain::notification::{Notification, Status, channel_from_name};

/// Rows deleted by one statement of [`purge`]: short locks, short transactions.
const PURGE_CHUNK: i64 = 5_000;

#[derive(FromRow)]
struct Row {
    id: i64,
    event_id: Uuid,
    event_type: String,
    channel: String,
    template: String,
    status: String,
    attempts: i32,
    error: Option<String>,
    created_at: OffsetDateTime,
    sent_at: Option<OffsetDateTime>,
}

/// A user's notifications, newest first, after a position of that order. That one is left to the monolith is not among them where the
/// monolith's own row is here: there would be two of one notification.
///
/// # Errors
/// The database's.
pub async fn of_user(
    pool: &PgPool,
    user_id: i64,
    after: Option<(OffsetDateTime, i64)>,
    limit: i64,
) -> Result<Vec<Notification>, sqlx::Error> {
    let (at, id) = after.unzip();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, event_id, event_type, channel, template, status, attempts, error, created_at, sent_at
         FROM notification_log AS log
         WHERE user_id = $1
           AND NOT (status = 'skipped_legacy' AND id >= $5 AND EXISTS (SELECT FROM notification_log AS legacy
             WHERE legacy.event_id = log.event_id AND legacy.user_id = log.user_id AND legacy.channel = log.channel
               AND legacy.status <> 'skipped_legacy'))
           AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
         ORDER BY created_at DESC, id DESC LIMIT $4",
    )
    .bind(user_id)
    .bind(at)
    .bind(id)
    .bind(limit)
    .bind(BORN_HERE)
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(Notification::try_from).collect()
}

impl TryFrom<Row> for Notification {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        // The table's CHECKs hold the same names.
        let unknown = |column: &str| {
            sqlx::Error::Decode(format!("notification_log.{column} has an unknown value").into())
        };
        Ok(Self {
            id: row.id,
            event_id: row.event_id,
            event_type: row.event_type,
            channel: channel_from_name(&row.channel).ok_or_else(|| unknown("channel"))?,
            template: row.template,
            status: Status::from_name(&row.status).ok_or_else(|| unknown("status"))?,
            attempts: row.attempts,
            error: row.error,
            created_at: row.created_at,
            sent_at: row.sent_at,
        })
    }
}

/// A mail that was accepted and came back.
#[derive(Debug, FromRow)]
pub struct Returned {
    /// Id of the row.
    pub id: i64,
    /// The user.
    pub user_id: i64,
    /// The template's name.
    pub template: String,
    /// Tries made.
    pub attempts: i32,
}

/// Turns the delivered mail of an event into a failed one; `None` where there is none (any more).
///
/// # Errors
/// The database's.
pub async fn return_mail(
    connection: &mut PgConnection,
    event_id: Uuid,
    reason: &str,
) -> Result<Option<Returned>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE notification_log SET status = 'failed', error = $2, retryable = false
         WHERE event_id = $1 AND channel = 'email' AND status = 'delivered'
         RETURNING id, user_id, template, attempts",
    )
    .bind(event_id)
    .bind(reason)
    .fetch_optional(connection)
    .await
}

/// Deletes rows older than `before`, but not those that are still to be sent; how many.
///
/// # Errors
/// The database's.
pub async fn purge(pool: &PgPool, before: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let mut purged = 0;
    loop {
        let done = sqlx::query(
            "DELETE FROM notification_log WHERE id IN (
               SELECT id FROM notification_log WHERE created_at < $1 AND status <> 'queued'
               LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind(before)
        .bind(PURGE_CHUNK)
        .execute(pool)
        .await?
        .rows_affected();
        purged += done;
        if done < PURGE_CHUNK.unsigned_abs() {
            return Ok(purged);
        }
    }
}
