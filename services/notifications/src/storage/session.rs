//! Opening a delivery: the lock that keeps two consumers from sending one event at once, and everything that the decision
//! needs, read in one go.
//!
//! The locks are session-level advisory locks on one connection of its own per process: a killed process frees them by losing
//! the connection, no transaction is open while a mail is sent, and no pooled connection waits for a mail server. Locks and read
//! are one call of the database function `open_deliveries`, which says why it is one.
//!
//! Needs real sessions: a pooler in transaction mode cannot stand in between.

use std::{collections::HashMap, time::Duration};

use sqlx::{FromRow, PgConnection, PgPool, types::Json};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    CONSUMER, StoreError,
    batch::{Batches, Worker},
};
use crate::domain::{
    category::Category,
    contact::Contact,
    notification::channel_from_name,
    routing::{Choice, Devices, Webhook},
};

/// A statement that takes longer is given up, and the connection with it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is known when a delivery begins.
#[derive(Debug)]
pub struct Opened {
    /// The event was handled before: nothing is to be done.
    pub seen: bool,
    /// Id of the audit row: that of an earlier try, or a new one.
    pub notification_id: i64,
    /// Tries made before.
    pub attempts: i32,
    /// The user, if known.
    pub contact: Option<Contact>,
    /// What the user chose for this category.
    pub choice: Choice,
    /// Where else the user can be reached.
    pub devices: Devices,
    /// Generation of the templates in the database.
    pub template_generation: i64,
}

/// The outcome of opening.
#[derive(Debug)]
pub enum Opening {
    /// Nobody else is at it; the claim ends when it is dropped.
    Ready(Box<Opened>, Claim),
    /// Another delivery of the same event is under way.
    Busy,
}

/// Holds the event's lock until dropped.
#[derive(Debug)]
pub struct Claim {
    event_id: Uuid,
    batches: Batches<Request>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.batches.tell(Request::Release(self.event_id));
    }
}

/// Opens deliveries.
#[derive(Clone, Debug)]
pub struct Sessions {
    batches: Batches<Request>,
}

/// A request to the worker.
#[derive(Debug)]
pub struct OpenRequest {
    event_id: Uuid,
    user_id: i64,
    category: Category,
    answer: oneshot::Sender<Result<Option<Opened>, StoreError>>,
}

#[derive(Debug)]
enum Request {
    Open(OpenRequest),
    Release(Uuid),
}

impl Sessions {
    /// Starts the worker; it connects when it is first asked.
    pub fn start(pool: PgPool) -> Self {
        Self {
            batches: Batches::start(Session {
                pool,
                connection: None,
                held: HashMap::new(),
            }),
        }
    }

    /// Locks the event and reads what the decision needs.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(
        &self,
        event_id: Uuid,
        user_id: i64,
        category: Category,
    ) -> Result<Opening, StoreError> {
        let opened = self
            .batches
            .ask(|answer| {
                Request::Open(OpenRequest {
                    event_id,
                    user_id,
                    category,
                    answer,
                })
            })
            .await?;
        Ok(match opened {
            None => Opening::Busy,
            Some(opened) => Opening::Ready(
                Box::new(opened),
                Claim {
                    event_id,
                    batches: self.batches.clone(),
                },
            ),
        })
    }
}

/// The worker: owns the connection and knows which events are locked through it.
struct Session {
    pool: PgPool,
    connection: Option<PgConnection>,
    held: HashMap<Uuid, i64>,
}

impl Worker for Session {
    type Request = Request;

    async fn run(&mut self, requests: Vec<Request>) {
        let (mut opens, mut releases) = (Vec::new(), Vec::new());
        for request in requests {
            match request {
                Request::Release(event_id) => releases.extend(self.held.remove(&event_id)),
                // Locks of one session do not exclude each other, so the same event twice in one process is told apart here.
                Request::Open(open) if self.held.contains_key(&open.event_id) => {
                    let _ = open.answer.send(Ok(None));
                }
                Request::Open(open) => {
                    self.held.insert(open.event_id, lock_key(open.event_id));
                    opens.push(open);
                }
            }
        }
        let outcome = match tokio::time::timeout(PATIENCE, self.serve(&releases, &opens)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::unavailable("database: no answer in time")),
        };
        if outcome.is_err() {
            // The server frees the locks with the session; those still needed are taken again on the next connection.
            self.connection = None;
        }
        self.answer(opens, outcome);
    }
}

impl Session {
    async fn serve(
        &mut self,
        releases: &[i64],
        opens: &[OpenRequest],
    ) -> Result<Vec<Option<Opened>>, StoreError> {
        if let Some(connection) = &mut self.connection {
            return open(connection, releases, opens).await;
        }
        if opens.is_empty() {
            return Ok(Vec::new());
        }
        let connection = self.connection.insert(connect(&self.pool).await?);
        let keep: Vec<i64> = self
            .held
            .keys()
            .filter(|held| opens.iter().all(|open| open.event_id != **held))
            .map(|held| lock_key(*held))
            .collect();
        sqlx::query("SELECT pg_try_advisory_lock(key) FROM unnest($1::bigint[]) AS key")
            .bind(&keep)
            .execute(&mut *connection)
            .await?;
        open(connection, &[], opens).await
    }

    fn answer(&mut self, opens: Vec<OpenRequest>, outcome: Result<Vec<Option<Opened>>, StoreError>) {
        match outcome {
            Ok(opened) => {
                for (open, opened) in opens.into_iter().zip(opened) {
                    let (event_id, ready) = (open.event_id, opened.is_some());
                    let heard = open.answer.send(Ok(opened)).is_ok();
                    if !ready {
                        self.held.remove(&event_id);
                    } else if !heard {
                        // Whoever asked is gone, and no claim exists that would release it.
                        self.connection = None;
                        self.held.remove(&event_id);
                    }
                }
            }
            Err(error) => {
                for open in opens {
                    self.held.remove(&open.event_id);
                    let _ = open.answer.send(Err(error.clone()));
                }
            }
        }
    }
}

/// The lock of an event: the low half of a UUIDv7 is random.
fn lock_key(event_id: Uuid) -> i64 {
    event_id.as_u64_pair().1.cast_signed()
}

async fn connect(pool: &PgPool) -> Result<PgConnection, StoreError> {
    // Detached, so that the session's settings and locks never return to the pool.
    let mut connection = pool.acquire().await?.detach();
    // Every look-up below is by key; a plan made while the tables were small must not scan them when they have grown. What has
    // to be scanned all the same then looks so dear that the statement would be compiled by JIT each time, for seconds.
    // A host that vanished frees its locks after half a minute.
    sqlx::raw_sql(
        "SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
         SET plan_cache_mode = force_generic_plan;
         SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 4",
    )
    .execute(&mut connection)
    .await?;
    Ok(connection)
}

#[derive(FromRow)]
#[allow(clippy::struct_excessive_bools, reason = "the columns of the statement below")]
struct Row {
    locked: bool,
    seen: bool,
    notification_id: i64,
    attempts: i32,
    known: bool,
    email: Option<String>,
    display_name: Option<String>,
    locale: Option<String>,
    preferred_channel: Option<String>,
    bounced: bool,
    deleted: bool,
    enabled: Option<bool>,
    channel: Option<String>,
    digest: Option<bool>,
    devices: Option<Json<HashMap<String, Device>>>,
    template_generation: i64,
}

#[derive(serde::Deserialize)]
struct Device {
    address: String,
    secret: Option<String>,
}

/// Gives locks up, takes those of the deliveries, and reads what is needed of each; `None`: its lock is somebody else's.
async fn open(
    connection: &mut PgConnection,
    releases: &[i64],
    opens: &[OpenRequest],
) -> Result<Vec<Option<Opened>>, StoreError> {
    let event_ids: Vec<Uuid> = opens.iter().map(|open| open.event_id).collect();
    let wanted: Vec<i64> = event_ids.iter().map(|event_id| lock_key(*event_id)).collect();
    let user_ids: Vec<i64> = opens.iter().map(|open| open.user_id).collect();
    let categories: Vec<&str> = opens.iter().map(|open| open.category.name()).collect();
    let rows: Vec<Row> = sqlx::query_as("SELECT * FROM open_deliveries($1, $2, $3, $4, $5, $6)")
        .bind(releases)
        .bind(&wanted)
        .bind(CONSUMER)
        .bind(&event_ids)
        .bind(&user_ids)
        .bind(&categories)
        .fetch_all(connection)
        .await?;
    let opened = rows.into_iter().map(|row| row.locked.then(|| Opened::from(row)));
    Ok(opened.collect())
}

impl From<Row> for Opened {
    fn from(row: Row) -> Self {
        let mut devices = row.devices.map(|Json(devices)| devices).unwrap_or_default();
        let webhook = devices.remove("webhook").and_then(|device| {
            Some(Webhook {
                url: device.address,
                secret: device.secret?,
            })
        });
        Self {
            seen: row.seen,
            notification_id: row.notification_id,
            attempts: row.attempts,
            contact: row.known.then(|| Contact {
                email: row.email,
                display_name: row.display_name,
                locale: row.locale,
                preferred_channel: row.preferred_channel.as_deref().and_then(channel_from_name),
                bounced: row.bounced,
                deleted: row.deleted,
            }),
            choice: Choice {
                enabled: row.enabled.unwrap_or(true),
                channel: row.channel.as_deref().and_then(channel_from_name),
                digest: row.digest.unwrap_or(false),
            },
            devices: Devices {
                phone: devices.remove("sms").map(|device| device.address),
                webhook,
            },
            template_generation: row.template_generation,
        }
    }
}
