//! The transactional outbox: the event commits with the state it tells of.

use std::time::Duration;

use banyan_events::{EffectOwner, Event};
use banyan_fail_points::fail_points;
use banyan_tracing_setup::context;
use serde_json::{Map, Value};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

/// Rows deleted by one statement of [`prune`]: short locks, short transactions.
const PRUNE_CHUNK: i64 = 10_000;

/// An event to be published.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The CloudEvents id, UUIDv7.
    pub id: Uuid,
    /// What it is about: `user/42`, `payment/7`. Events of one subject keep their order.
    pub subject: String,
    /// The payload, which names the type.
    pub event: Event,
    /// Who performs the side effect, where two systems could.
    pub effect_owner: Option<EffectOwner>,
}

impl NewEvent {
    /// An event with an id of its own, made now.
    pub fn new(subject: impl Into<String>, event: impl Into<Event>) -> Self {
        Self {
            id: Uuid::now_v7(),
            subject: subject.into(),
            event: event.into(),
            effect_owner: None,
        }
    }

    /// The outbox column `headers`: the current trace context, the effect owner, the payload's schema. For writers that
    /// insert the row within a larger statement of their own.
    pub fn headers(&self) -> Value {
        let mut headers = Map::new();
        let trace = context::current();
        if let Some(traceparent) = trace.traceparent {
            headers.insert("traceparent".into(), traceparent.into());
        }
        if let Some(tracestate) = trace.tracestate {
            headers.insert("tracestate".into(), tracestate.into());
        }
        if let Some(owner) = self.effect_owner {
            let owner = match owner {
                EffectOwner::Legacy => "legacy",
                EffectOwner::New => "new",
            };
            headers.insert("effectowner".into(), owner.into());
        }
        // A relay of another version must not guess the major version of a payload it did not write.
        headers.insert("dataschema".into(), self.event.kind().dataschema().into());
        Value::Object(headers)
    }
}

/// Writes the event in the caller's transaction and returns its id. The current trace context is kept with it.
///
/// Takes a lock on the subject until the transaction ends, so publish last in a transaction, and in one order where there
/// are several subjects.
///
/// # Errors
/// The database's.
pub async fn publish(connection: &mut PgConnection, event: NewEvent) -> Result<Uuid, sqlx::Error> {
    let query =
        sqlx::query("INSERT INTO outbox (id, subject, type, payload, headers) VALUES ($1, $2, $3, $4, $5)")
            .bind(event.id)
            .bind(&event.subject)
            .bind(event.event.kind().name())
            .bind(Json(&event.event))
            .bind(event.headers());
    fail_points!("outbox.publish", query.execute(connection).await)?;
    Ok(event.id)
}

/// How far the relay is behind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OutboxLag {
    /// Rows not yet confirmed by the broker.
    pub unpublished: i64,
    /// Age of the first of them in milliseconds, 0 where there is none.
    pub oldest_ms: i64,
}

/// How far the relay is behind.
///
/// # Errors
/// The database's.
pub async fn lag(pool: &PgPool) -> Result<OutboxLag, sqlx::Error> {
    let (unpublished, oldest_ms): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM outbox WHERE published_at IS NULL),
           coalesce((SELECT greatest(0, extract(epoch FROM now() - created_at) * 1000)::bigint
             FROM outbox WHERE published_at IS NULL ORDER BY sequence LIMIT 1), 0)",
    )
    .fetch_one(pool)
    .await?;
    Ok(OutboxLag {
        unpublished,
        oldest_ms,
    })
}

/// Deletes rows published longer ago than `older_than`; how many. What is not published is never deleted.
///
/// # Errors
/// The database's.
pub async fn prune(pool: &PgPool, older_than: Duration) -> Result<u64, sqlx::Error> {
    let mut pruned = 0;
    loop {
        let done = sqlx::query(
            "DELETE FROM outbox WHERE id IN (
               SELECT id FROM outbox WHERE published_at < now() - $1 * interval '1 second'
               ORDER BY published_at LIMIT $2)",
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
