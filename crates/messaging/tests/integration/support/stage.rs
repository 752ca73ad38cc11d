//! One database with an outbox, one vhost, and relays between them.

use std::str::FromStr;

use banyan_events::{Event, EventKind};
use banyan_messaging::{
    BrokerConfig, OUTBOX_SQL, Relay, RelayConfig, RelayError,
    outbox::{self, NewEvent},
    topology,
};
use banyan_test_support::{TestDb, TestVhost, wait_until};
use lapin::{
    Connection,
    options::{ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{SOON, Tap};

pub(crate) struct Stage {
    pub(crate) db: TestDb,
    pub(crate) vhost: TestVhost,
    connection: Connection,
}

/// A payload of that kind.
pub(crate) fn sample(kind: EventKind) -> Event {
    kind.sample()
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let (db, vhost) = tokio::join!(TestDb::create(None), TestVhost::create());
        sqlx::raw_sql(OUTBOX_SQL).execute(&db.pool).await.unwrap();
        let connection = vhost.connect().await;
        let stage = Self {
            db,
            vhost,
            connection,
        };
        topology::declare_exchanges(&stage.channel().await).await.unwrap();
        stage
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.db.pool
    }

    pub(crate) fn broker(&self) -> BrokerConfig {
        BrokerConfig::new(self.vhost.amqp_url.clone(), "test")
    }

    /// A channel of the test's own, with confirms.
    pub(crate) async fn channel(&self) -> lapin::Channel {
        let channel = self.connection.create_channel().await.unwrap();
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        channel
    }

    /// A queue that wants `key` of the domain events.
    pub(crate) async fn queue(&self, name: &str, key: &str, arguments: &[(&str, AMQPValue)]) {
        let mut table = FieldTable::default();
        for (argument, value) in arguments {
            table.insert((*argument).into(), value.clone());
        }
        let channel = self.channel().await;
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel.queue_declare(name.into(), options, table).await.unwrap();
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        channel
            .queue_bind(
                name.into(),
                topology::DOMAIN_EVENTS.into(),
                key.into(),
                options,
                none,
            )
            .await
            .unwrap();
    }

    /// Everything that is published from now on, as it comes.
    pub(crate) async fn tap(&self) -> Tap {
        let quorum = AMQPValue::LongString("quorum".into());
        self.queue("tap", "#", &[("x-queue-type", quorum)]).await;
        Tap::on(&self.channel().await, "tap").await
    }

    /// Writes one event in a transaction of its own.
    pub(crate) async fn write(&self, subject: &str) -> Uuid {
        let mut connection = self.pool().acquire().await.unwrap();
        let event = NewEvent::new(subject, sample(EventKind::PaymentCompleted));
        outbox::publish(&mut connection, event).await.unwrap()
    }

    /// Writes `count` events in one statement, going round `subjects` subjects.
    pub(crate) async fn write_many(&self, count: i32, subjects: i32) {
        sqlx::query(
            "INSERT INTO outbox (id, subject, type, payload)
             SELECT gen_random_uuid(), 'payment/' || n % $2, 'payment.completed', '{}' FROM generate_series(1, $1) n",
        )
        .bind(count)
        .bind(subjects)
        .execute(self.pool())
        .await
        .unwrap();
    }

    pub(crate) async fn unpublished(&self) -> i64 {
        outbox::lag(self.pool()).await.unwrap().unpublished
    }

    /// Waits until every row is marked.
    pub(crate) async fn all_marked(&self) {
        let question = async || self.unpublished().await;
        wait_until("every row to be marked", SOON, question, |left| *left == 0).await;
    }

    /// Every event of the outbox in the order of its subject: id, subject, sequence.
    pub(crate) async fn written(&self) -> Vec<(Uuid, String, i64)> {
        sqlx::query_as("SELECT id, subject, sequence FROM outbox ORDER BY sequence")
            .fetch_all(self.pool())
            .await
            .unwrap()
    }

    /// A relay with a pool of its own, as another process has one.
    pub(crate) fn relay(&self, config: RelayConfig) -> Relay {
        Relay::new(
            own_pool(&self.db.url, "relay", 4),
            self.broker(),
            "/monolith",
            config,
        )
    }

    /// Starts a relay; `name` is what the database shows of it.
    pub(crate) fn start_relay(&self, name: &str, config: RelayConfig) -> Relaying {
        Relaying::start(Relay::new(
            own_pool(&self.db.url, name, 4),
            self.broker(),
            "/monolith",
            config,
        ))
    }

    /// The name and the backend of the relay that leads.
    pub(crate) async fn leader(&self) -> Option<(String, i32)> {
        self.lock_holder(1).await
    }

    /// The relay that sleeps.
    pub(crate) async fn sleeper(&self) -> Option<(String, i32)> {
        self.lock_holder(2).await
    }

    /// Waits until a relay leads.
    pub(crate) async fn led(&self) -> (String, i32) {
        let question = async || self.leader().await;
        wait_until("a relay to lead", SOON, question, Option::is_some)
            .await
            .unwrap()
    }

    /// Waits until the relay waits for a NOTIFY. The lock alone does not say so: it looks once more with it.
    pub(crate) async fn asleep(&self) {
        let question = async || {
            let idle: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)
                 WHERE locktype = 'advisory' AND classid::bigint = 1650552442 AND objid = 2
                   AND mode = 'ExclusiveLock' AND granted AND state = 'idle' AND query LIKE 'SELECT EXISTS%'
                   AND datname = current_database())",
            )
            .fetch_one(self.pool())
            .await
            .unwrap();
            idle
        };
        wait_until("the relay to sleep", SOON, question, |asleep| *asleep).await;
    }

    async fn lock_holder(&self, key: i32) -> Option<(String, i32)> {
        sqlx::query_as(
            "SELECT application_name, pid FROM pg_locks JOIN pg_stat_activity USING (pid)
             WHERE locktype = 'advisory' AND classid::bigint = 1650552442 AND objid::bigint = $1
               AND mode = 'ExclusiveLock' AND granted AND datname = current_database()",
        )
        .bind(i64::from(key))
        .fetch_optional(self.pool())
        .await
        .unwrap()
    }

    /// Ends one session of the database.
    pub(crate) async fn kill_session(&self, pid: i32) {
        let killed: bool = sqlx::query_scalar("SELECT pg_terminate_backend($1)")
            .bind(pid)
            .fetch_one(self.pool())
            .await
            .unwrap();
        assert!(killed, "session {pid} was gone");
    }
}

/// A pool as a process of that name has it.
pub(crate) fn own_pool(url: &str, name: &str, connections: u32) -> PgPool {
    let options = PgConnectOptions::from_str(url).unwrap().application_name(name);
    PgPoolOptions::new()
        .max_connections(connections)
        .connect_lazy_with(options)
}

/// A relay at work.
pub(crate) struct Relaying {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RelayError>>,
}

impl Relaying {
    pub(crate) fn start(relay: Relay) -> Self {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(relay.run(shutdown.clone()));
        Self { shutdown, task }
    }

    /// As an orderly shutdown.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(SOON, self.task)
            .await
            .expect("the relay stops")
            .unwrap()
            .unwrap();
    }

    /// Ends it where it stands. Its sessions may live on in the servers for a moment, as a killed process's do.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
