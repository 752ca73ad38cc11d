//! Which events a consumer has handled, so that a redelivery is a no-op.

use std::time::Duration;

use banyan_events::{Envelope, Event};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Rows deleted by one statement of [`prune`]: short locks, short transactions.
const PRUNE_CHUNK: i64 = 10_000;

/// Whether `consumer` has handled the event. A quick look before work that has an effect outside the database; only
/// [`record`] decides.
///
/// # Errors
/// The database's.
pub async fn seen(
    connection: &mut PgConnection,
    consumer: &str,
    event_id: Uuid,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM inbox WHERE consumer = $1 AND event_id = $2)")
        .bind(consumer)
        .bind(event_id)
        .fetch_one(connection)
        .await
}

/// Records the event as handled, in the caller's transaction. `true` the first time: then, and only then, apply the effect.
///
/// Two transactions that record the same event wait for each other here, so exactly one gets `true`.
///
/// # Errors
/// The database's.
pub async fn record(
    connection: &mut PgConnection,
    consumer: &str,
    envelope: &Envelope<Event>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO inbox (consumer, event_id, subject, sequence) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(consumer)
    .bind(envelope.id)
    .bind(&envelope.subject)
    .bind(envelope.sequence)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes rows older than `older_than`; how many. Must be longer than an event can stay in a dead queue before it is
/// replayed, or the replay acts a second time.
///
/// # Errors
/// The database's.
pub async fn prune(pool: &PgPool, older_than: Duration) -> Result<u64, sqlx::Error> {
    let mut pruned = 0;
    loop {
        let done = sqlx::query(
            "DELETE FROM inbox WHERE (consumer, event_id) IN (
               SELECT consumer, event_id FROM inbox WHERE processed_at < now() - $1 * interval '1 second'
               ORDER BY processed_at LIMIT $2)",
        )
        .bind(i64::try_from(older_than.as_secs()).unwrap_or(i64::MAX))
        .bind(PRUNE_CHUNK)
        .execute(pool)
        .await?;
        pruned += done.rows_affected();
        if done.rows_affected() < PRUNE_CHUNK.unsigned_abs() {
            return Ok(pruned);
        }
    }
}
