//! Notifications that wait for the daily digest.

use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::due::Payload;

/// One notification of a digest.
#[derive(Clone, Debug, FromRow)]
pub struct Item {
    /// Id of the row.
    pub id: i64,
    /// The event.
    pub event_id: Uuid,
    /// Its type.
    pub event_type: String,
    /// The template's name.
    pub template: String,
    /// Tries made.
    pub attempts: i32,
    /// The event's data.
    pub payload: Json<Payload>,
    /// When it happened.
    pub created_at: OffsetDateTime,
}

/// The user a digest is for.
#[derive(Debug, FromRow)]
pub struct Reader {
    /// The user.
    pub user_id: i64,
    /// Where to send it; absent: unknown, or the address bounces.
    pub email: Option<String>,
    /// Name to greet by.
    pub display_name: Option<String>,
    /// Language.
    pub locale: Option<String>,
}

/// Claims the waiting notifications of one user for `lease` and names their digest; `None` when no user waits.
///
/// A digest that was begun and not finished keeps its name and its rows, so a repeated mail has the same Message-ID.
///
/// # Errors
/// The database's.
pub async fn claim(
    pool: &PgPool,
    now: OffsetDateTime,
    lease: Duration,
    digest_id: Uuid,
) -> Result<Option<(Uuid, Reader, Vec<Item>)>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // One claim at a time: two that began with different rows of one user would wait for each other.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('notifications:digests', 0))")
        .execute(&mut *transaction)
        .await?;
    let first: Option<(i64, Option<Uuid>)> = sqlx::query_as(
        "SELECT user_id, digest_id FROM notification_log
         WHERE status = 'queued' AND digest AND (next_attempt_at IS NULL OR next_attempt_at <= $1)
         ORDER BY digest_id NULLS LAST, user_id, id LIMIT 1 FOR UPDATE SKIP LOCKED",
    )
    .bind(now)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((user_id, begun)) = first else {
        return Ok(None);
    };
    let digest_id = begun.unwrap_or(digest_id);
    let mut items: Vec<Item> = sqlx::query_as(
        "UPDATE notification_log SET digest_id = $2, next_attempt_at = $3
         WHERE id IN (SELECT id FROM notification_log
           WHERE user_id = $1 AND status = 'queued' AND digest AND payload IS NOT NULL
             AND digest_id IS NOT DISTINCT FROM $4 ORDER BY id FOR UPDATE)
         RETURNING id, event_id, event_type, template, attempts, payload, created_at",
    )
    .bind(user_id)
    .bind(digest_id)
    .bind(now + lease)
    .bind(begun)
    .fetch_all(&mut *transaction)
    .await?;
    let reader: Option<Reader> = sqlx::query_as(
        "SELECT user_id, CASE WHEN bounced_at IS NULL THEN email END AS email, display_name, locale
         FROM contact WHERE user_id = $1 AND deleted_at IS NULL",
    )
    .bind(user_id)
    .fetch_optional(&mut *transaction)
    .await?;
    transaction.commit().await?;
    items.sort_by_key(|item| (item.created_at, item.id));
    let reader = reader.unwrap_or(Reader {
        user_id,
        email: None,
        display_name: None,
        locale: None,
    });
    Ok(Some((digest_id, reader, items)))
}

/// How the rows of a digest end.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// The status's name.
    pub status: &'static str,
    /// Why nothing was sent.
    pub error: Option<&'a str>,
    /// When it was sent.
    pub sent_at: Option<OffsetDateTime>,
    /// Message-ID of the digest.
    pub message_id: Option<&'a str>,
    /// Version of the digest's template.
    pub template_version: Option<i32>,
}

/// Ends the rows of a digest; answers the ids that were still waiting. For the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn finish(
    connection: &mut PgConnection,
    digest_id: Uuid,
    ending: Ending<'_>,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "UPDATE notification_log SET status = $2, error = $3, sent_at = $4, message_id = $5,
           template_version = $6, attempts = attempts + 1, payload = NULL, next_attempt_at = NULL
         WHERE digest_id = $1 AND status = 'queued' RETURNING id",
    )
    .bind(digest_id)
    .bind(ending.status)
    .bind(ending.error)
    .bind(ending.sent_at)
    .bind(ending.message_id)
    .bind(ending.template_version)
    .fetch_all(connection)
    .await
}

/// Notes a failed try; the rows are due again at `next`.
///
/// # Errors
/// The database's.
pub async fn postpone(
    pool: &PgPool,
    digest_id: Uuid,
    error: &str,
    next: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE notification_log SET attempts = attempts + 1, error = $2, next_attempt_at = $3
         WHERE digest_id = $1 AND status = 'queued'",
    )
    .bind(digest_id)
    .bind(error)
    .bind(next)
    .execute(pool)
    .await?;
    Ok(())
}
