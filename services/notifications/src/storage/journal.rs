//! Closing a delivery: audit row, inbox row and outbox row of many deliveries in one statement.

use std::time::Duration;

use banyan_db::ErrorClass;
use banyan_messaging::outbox::NewEvent;
use serde::Serialize;
use sqlx::{PgConnection, PgPool, types::Json};
use time::OffsetDateTime;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    CONSUMER, StoreError,
    batch::{Batches, Worker},
};

/// A statement that takes longer is given up, and the connection with it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one delivery leaves behind.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Id of the audit row; `None`: a new one, where the delivery was not opened.
    pub id: Option<i64>,
    /// The event.
    pub event_id: Uuid,
    /// Its type.
    pub event_type: &'static str,
    /// Its subject.
    pub subject: String,
    /// Its position there.
    pub sequence: i64,
    /// The user.
    pub user_id: i64,
    /// The channel's name.
    pub channel: &'static str,
    /// The template's name.
    pub template: &'static str,
    /// The template's version, where one was used.
    pub template_version: Option<i32>,
    /// The status's name.
    pub status: &'static str,
    /// Tries made.
    pub attempts: i32,
    /// Why the last one failed, or why none was made.
    pub error: Option<String>,
    /// The trace.
    pub trace_id: Option<String>,
    /// Message-ID under which it was sent.
    pub message_id: Option<String>,
    /// What a job needs to try again.
    pub payload: Option<serde_json::Value>,
    /// Another try may help.
    pub retryable: bool,
    /// Goes into the digest.
    pub digest: bool,
    /// When a job takes it up.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_attempt_at: Option<OffsetDateTime>,
    /// When the channel accepted it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub sent_at: Option<OffsetDateTime>,
    /// The event is handled: a redelivery is to do nothing.
    pub settles: bool,
    /// The event to publish about it.
    #[serde(flatten)]
    pub outgoing: Option<OutboxRow>,
}

/// An outbox row, with the trace context of the moment at which it was made.
#[allow(
    clippy::struct_field_names,
    reason = "the statement's columns, beside those of the entry"
)]
#[derive(Clone, Debug, Serialize)]
pub struct OutboxRow {
    outbox_id: Uuid,
    outbox_subject: String,
    outbox_type: &'static str,
    outbox_payload: serde_json::Value,
    outbox_headers: serde_json::Value,
}

impl From<NewEvent> for OutboxRow {
    fn from(event: NewEvent) -> Self {
        let outbox_headers = event.headers();
        Self {
            outbox_id: event.id,
            outbox_subject: event.subject,
            outbox_type: event.event.kind().name(),
            // A payload is a struct of texts and numbers, which always serialises.
            outbox_payload: serde_json::to_value(&event.event).unwrap_or_default(),
            outbox_headers,
        }
    }
}

type Request = (Entry, oneshot::Sender<Result<(), StoreError>>);

/// Writes entries.
#[derive(Clone, Debug)]
pub struct Journal {
    batches: Batches<Request>,
}

impl Journal {
    /// Starts the worker.
    pub fn start(pool: PgPool) -> Self {
        Self {
            batches: Batches::start(Writer {
                pool,
                connection: None,
            }),
        }
    }

    /// Writes an entry and waits for its commit.
    ///
    /// # Errors
    /// The database's.
    pub async fn record(&self, entry: Entry) -> Result<(), StoreError> {
        self.batches.ask(|answer| (entry, answer)).await
    }
}

/// The worker: owns the connection, so that the statement is planned once and not once per pooled connection.
struct Writer {
    pool: PgPool,
    connection: Option<PgConnection>,
}

impl Worker for Writer {
    type Request = Request;

    async fn run(&mut self, requests: Vec<Request>) {
        let (entries, answers): (Vec<Entry>, Vec<_>) = requests.into_iter().unzip();
        let outcome = self.write(&entries).await;
        let alone = entries.len() == 1 || !matches!(&outcome, Err(error) if !error.is_unavailable());
        if alone {
            for answer in answers {
                let _ = answer.send(outcome.clone());
            }
            return;
        }
        // One entry that the database refuses must not take the others with it.
        for (entry, answer) in entries.iter().zip(answers) {
            let _ = answer.send(self.write(std::slice::from_ref(entry)).await);
        }
    }
}

impl Writer {
    async fn write(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        loop {
            match tokio::time::timeout(PATIENCE, self.try_write(entries)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) if error.class == ErrorClass::Serialization => {}
                Ok(Err(error)) => {
                    self.connection = None;
                    return Err(error);
                }
                Err(_) => {
                    self.connection = None;
                    return Err(StoreError::unavailable("database: no answer in time"));
                }
            }
        }
    }

    async fn try_write(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            slot => {
                let mut connection = self.pool.acquire().await?.detach();
                sqlx::raw_sql("SET plan_cache_mode = force_generic_plan")
                    .execute(&mut connection)
                    .await?;
                slot.insert(connection)
            }
        };
        insert(connection, entries).await
    }
}

/// One statement, one commit. An entry whose event is in the inbox already changes nothing.
///
/// Outbox rows are inserted in the order of their subject locks, so that two batches cannot wait for each other in a circle.
async fn insert(connection: &mut PgConnection, entries: &[Entry]) -> Result<(), StoreError> {
    sqlx::query(
        "WITH entry AS MATERIALIZED (
           SELECT * FROM jsonb_to_recordset($1) AS e (
             id bigint, event_id uuid, event_type text, subject text, sequence bigint, user_id bigint, channel text,
             template text, template_version integer, status text, attempts integer, error text, trace_id text,
             message_id text, payload jsonb, retryable boolean, digest boolean, next_attempt_at timestamptz,
             sent_at timestamptz, settles boolean, outbox_id uuid, outbox_subject text, outbox_type text,
             outbox_payload jsonb, outbox_headers jsonb)
         ), settled AS (
           INSERT INTO inbox (consumer, event_id, subject, sequence)
           SELECT $2, event_id, subject, sequence FROM entry WHERE settles
           ON CONFLICT DO NOTHING RETURNING event_id
         ), fresh AS MATERIALIZED (
           SELECT * FROM entry WHERE NOT settles OR event_id IN (SELECT event_id FROM settled)
         ), logged AS (
           INSERT INTO notification_log (id, event_id, event_type, user_id, channel, template, template_version, status,
             attempts, error, trace_id, message_id, payload, retryable, digest, next_attempt_at, sent_at)
           SELECT coalesce(id, nextval('notification_log_id_seq')), event_id, event_type, user_id, channel, template,
             template_version, status, attempts, error, trace_id, message_id, payload, retryable, digest,
             next_attempt_at, sent_at
           FROM fresh
           ON CONFLICT (id) DO UPDATE SET channel = excluded.channel, template_version = excluded.template_version,
             status = excluded.status, attempts = excluded.attempts, error = excluded.error,
             trace_id = excluded.trace_id, message_id = excluded.message_id, payload = excluded.payload,
             retryable = excluded.retryable, digest = excluded.digest,
             next_attempt_at = excluded.next_attempt_at, sent_at = excluded.sent_at
         )
         INSERT INTO outbox (id, subject, type, payload, headers)
         SELECT outbox_id, outbox_subject, outbox_type, outbox_payload, outbox_headers
         FROM fresh WHERE outbox_id IS NOT NULL ORDER BY hashtext(outbox_subject)",
    )
    .bind(Json(entries))
    .bind(CONSUMER)
    .execute(connection)
    .await?;
    Ok(())
}
