//! What is known of users.

use banyan_events::{Envelope, Event};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{BORN_HERE, CONSUMER, StoreError};
use crate::domain::contact::ContactChange;

/// Applies what an event says about a user. Older than what is known, it changes nothing; an erased user stays erased.
///
/// `handled`: the event has no further effect, so the same statement records it in the inbox.
///
/// # Errors
/// The database's.
pub async fn apply(
    pool: &PgPool,
    change: &ContactChange,
    handled: Option<&Envelope<Event>>,
) -> Result<(), StoreError> {
    sqlx::query(
        "WITH changed AS (
           INSERT INTO contact AS c (user_id, email, email_sequence, email_verified_at, display_name,
             display_name_sequence, locale, locale_sequence, preferred_channel, preferred_channel_sequence)
           VALUES ($1, $3, CASE WHEN $3 IS NULL THEN 0 ELSE $2 END, $4, $5, CASE WHEN $5 IS NULL THEN 0 ELSE $2 END,
             $6, CASE WHEN $6 IS NULL THEN 0 ELSE $2 END, $7, CASE WHEN $7 IS NULL THEN 0 ELSE $2 END)
           ON CONFLICT (user_id) DO UPDATE SET
             email = CASE WHEN excluded.email_sequence > c.email_sequence THEN excluded.email ELSE c.email END,
             email_verified_at = CASE WHEN excluded.email_sequence <= c.email_sequence THEN c.email_verified_at
               WHEN excluded.email = c.email THEN coalesce(excluded.email_verified_at, c.email_verified_at)
               ELSE excluded.email_verified_at END,
             bounced_at = CASE WHEN excluded.email_sequence > c.email_sequence
               AND excluded.email IS DISTINCT FROM c.email THEN NULL ELSE c.bounced_at END,
             bounce_status = CASE WHEN excluded.email_sequence > c.email_sequence
               AND excluded.email IS DISTINCT FROM c.email THEN NULL ELSE c.bounce_status END,
             email_sequence = greatest(c.email_sequence, excluded.email_sequence),
             display_name = CASE WHEN excluded.display_name_sequence > c.display_name_sequence
               THEN excluded.display_name ELSE c.display_name END,
             display_name_sequence = greatest(c.display_name_sequence, excluded.display_name_sequence),
             locale = CASE WHEN excluded.locale_sequence > c.locale_sequence THEN excluded.locale ELSE c.locale END,
             locale_sequence = greatest(c.locale_sequence, excluded.locale_sequence),
             preferred_channel = CASE WHEN excluded.preferred_channel_sequence > c.preferred_channel_sequence
               THEN excluded.preferred_channel ELSE c.preferred_channel END,
             preferred_channel_sequence =
               greatest(c.preferred_channel_sequence, excluded.preferred_channel_sequence),
             updated_at = now()
           WHERE c.deleted_at IS NULL
         )
         INSERT INTO inbox (consumer, event_id, subject, sequence)
         SELECT $8, $9, $10, $2 WHERE $9 IS NOT NULL ON CONFLICT DO NOTHING",
    )
    .bind(change.user_id)
    .bind(change.sequence)
    .bind(&change.email)
    .bind(change.email_verified_at)
    .bind(&change.display_name)
    .bind(&change.locale)
    .bind(change.preferred_channel.map(banyan_events::payloads::Channel::name))
    .bind(CONSUMER)
    .bind(handled.map(|envelope| envelope.id))
    .bind(handled.map(|envelope| &envelope.subject))
    .execute(pool)
    .await?;
    Ok(())
}

/// Erases a user: only the tombstone and the bare audit rows stay. For the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn erase(connection: &mut PgConnection, change: &ContactChange) -> Result<(), sqlx::Error> {
    lock_and_ask_erased(connection, change.user_id).await?;
    sqlx::query(
        "INSERT INTO contact (user_id, deleted_at) VALUES ($1, $2)
         ON CONFLICT (user_id) DO UPDATE SET email = NULL, email_verified_at = NULL, display_name = NULL, locale = NULL,
           preferred_channel = NULL, bounced_at = NULL, bounce_status = NULL,
           deleted_at = coalesce(contact.deleted_at, excluded.deleted_at), updated_at = now()",
    )
    .bind(change.user_id)
    .bind(change.deleted_at)
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM preference WHERE user_id = $1")
        .bind(change.user_id)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM device WHERE user_id = $1")
        .bind(change.user_id)
        .execute(&mut *connection)
        .await?;
    // What the monolith has queued it suppresses itself, and what has nothing to forget is not written again: a sync would take either for
    // a change.
    sqlx::query(
        "UPDATE notification_log SET error = CASE WHEN status = 'queued' THEN 'the account was erased' END,
           status = CASE WHEN status = 'queued' THEN 'suppressed' ELSE status END,
           payload = NULL, retryable = false, next_attempt_at = NULL
         WHERE user_id = $1 AND (status <> 'queued' OR id >= $2)
           AND (status = 'queued' OR error <> 'the account was erased' OR payload IS NOT NULL OR retryable
             OR next_attempt_at IS NOT NULL)",
    )
    .bind(change.user_id)
    .bind(BORN_HERE)
    .execute(connection)
    .await?;
    Ok(())
}

/// Marks the user's address as one that does not work, if it still is the user's address and the mail of that event went to the
/// user; answers whether it did.
///
/// # Errors
/// The database's.
pub async fn mark_bounced(
    connection: &mut PgConnection,
    user_id: i64,
    address: &str,
    status: &str,
) -> Result<bool, sqlx::Error> {
    let marked = sqlx::query(
        "UPDATE contact SET bounced_at = coalesce(bounced_at, now()), bounce_status = $3, updated_at = now()
         WHERE user_id = $1 AND lower(email) = lower($2)",
    )
    .bind(user_id)
    .bind(address)
    .bind(status)
    .execute(connection)
    .await?;
    Ok(marked.rows_affected() > 0)
}

/// The users who were erased after a time, UTC.
///
/// # Errors
/// The database's.
pub async fn erased_since(pool: &PgPool, since: OffsetDateTime) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT user_id FROM contact WHERE deleted_at > $1")
        .bind(since)
        .fetch_all(pool)
        .await
}

/// Whether the user was erased; concurrent changes of one user's data wait for each other until the caller's transaction ends.
///
/// # Errors
/// The database's.
pub async fn lock_and_ask_erased(connection: &mut PgConnection, user_id: i64) -> Result<bool, sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('notifications:user:' || $1, 0))")
        .bind(user_id.to_string())
        .execute(&mut *connection)
        .await?;
    let erased: Option<bool> =
        sqlx::query_scalar("SELECT deleted_at IS NOT NULL FROM contact WHERE user_id = $1")
            .bind(user_id)
            .fetch_optional(connection)
            .await?;
    Ok(erased.unwrap_or(false))
}
