//! A running notifications consumer with a database, a vhost and a mail server of its own.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{collections::BTreeMap, ffi::OsString, sync::Arc, time::Duration};

use banyan_dev_sinks::mail::{MailMessage, MailSink};
use banyan_events::{EffectOwner, Envelope, Event, EventData, payloads::*};
use banyan_messaging::{BrokerConfig, Consumer, ConsumerConfig, topology};
use banyan_service_kit::config::{Loaded, load};
use banyan_test_support::{TestDb, TestVhost, wait_for, wait_until};
use lapin::{
    BasicProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use notifications::{
    Notifications,
    app::{channels, system_clock},
    config::{Config, DeliverySettings},
    consumers::Events,
    domain::notice::CONSUMED,
    use_cases::{deliver::Deliver, install_templates},
};
use sqlx::{FromRow, PgPool};
use time::{OffsetDateTime, macros::datetime};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// Longer than anything here takes, on a busy machine too.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// The queue of the service, and where its failures end.
pub(crate) const QUEUE: &str = "notifications.events";
pub(crate) const DEAD: &str = "notifications.events.dead";

pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) vhost: TestVhost,
    pub(crate) sink: MailSink,
    pub(crate) config: Config,
    pub(crate) deliver: Arc<Deliver>,
    publisher: lapin::Connection,
    channel: lapin::Channel,
    _stop: DropGuard,
}

/// What a test sets otherwise than the defaults, as `section.key`.
pub(crate) type Settings<'a> = &'a [(&'a str, &'a str)];

/// The configuration as a process would load it.
pub(crate) fn configuration(settings: Settings<'_>, sink: &MailSink) -> Loaded<Config> {
    let port = sink.addr().port().to_string();
    let needed = [
        ("database.url", "postgres://nobody@127.0.0.1/none"),
        ("broker.url", "amqp://nobody@127.0.0.1/none"),
        ("email.smtp.port", port.as_str()),
        ("email.smtp.connect_timeout_ms", "1000"),
    ];
    // The later of two settings of one key counts.
    let settings: BTreeMap<&str, &str> = needed.iter().chain(settings).copied().collect();
    let environment = settings.into_iter().map(|(key, value)| {
        let name = format!("BANYAN_NOTIFICATIONS__{}", key.to_uppercase().replace('.', "__"));
        (OsString::from(name), OsString::from(value))
    });
    load::<Notifications>(None, environment.collect::<Vec<_>>()).expect("a configuration")
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[], |_| ()).await
    }

    /// A consumer with a retry ladder of 150 and 300 ms.
    pub(crate) async fn start_with(settings: Settings<'_>, change: impl FnOnce(&mut ConsumerConfig)) -> Self {
        let migrator = notifications::migrator();
        let (db, vhost) = tokio::join!(TestDb::create(Some(&migrator)), TestVhost::create());
        let pool = db.pool.clone();
        Self::start_on(db, pool, vhost, settings, change).await
    }

    pub(crate) async fn start_on(
        db: TestDb,
        pool: PgPool,
        vhost: TestVhost,
        settings: Settings<'_>,
        change: impl FnOnce(&mut ConsumerConfig),
    ) -> Self {
        let sink = MailSink::start(([127, 0, 0, 1], 0).into(), None)
            .await
            .expect("a mail sink");
        let config = configuration(settings, &sink).service;
        install_templates::release(&db.pool).await.expect("templates");
        let deliver = deliver(&config, pool);
        let mut consumer = ConsumerConfig {
            retry_delays_ms: vec![150, 300],
            depth_interval_ms: 1000,
            ..ConsumerConfig::default()
        };
        change(&mut consumer);
        let stop = CancellationToken::new();
        let handler = Events::new(Arc::clone(&deliver), consumer.retry_delays_ms.len());
        let broker = BrokerConfig::new(vhost.amqp_url.clone(), "notifications");
        let consumer = Consumer::new("notifications", CONSUMED, broker, consumer, handler);
        consumer.declare().await.expect("queues");
        tokio::spawn(consumer.run(stop.clone()));
        let publisher = vhost.connect().await;
        let channel = publisher.create_channel().await.expect("a channel");
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .expect("confirms");
        Self {
            db,
            vhost,
            sink,
            config,
            deliver,
            publisher,
            channel,
            _stop: stop.drop_guard(),
        }
    }

    /// Publishes as the relay does.
    pub(crate) async fn publish(&self, envelope: &Envelope<Event>) {
        let body = serde_json::to_vec(envelope).expect("an envelope");
        self.publish_raw(&envelope.kind, &envelope.id.to_string(), &body)
            .await;
    }

    pub(crate) async fn publish_raw(&self, kind: &str, id: &str, body: &[u8]) {
        let properties = BasicProperties::default()
            .with_message_id(id.into())
            .with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        self.channel
            .basic_publish(
                topology::DOMAIN_EVENTS.into(),
                kind.into(),
                options,
                body,
                properties,
            )
            .await
            .expect("published")
            .await
            .expect("confirmed");
    }

    /// Publishes without waiting for each.
    pub(crate) async fn publish_all(&self, envelopes: &[Envelope<Event>]) {
        futures::future::join_all(envelopes.iter().map(|envelope| self.publish(envelope))).await;
    }

    /// Publishes and waits for the mail.
    pub(crate) async fn mail_of(&self, envelope: &Envelope<Event>) -> MailMessage {
        self.publish(envelope).await;
        self.wait_mail(envelope.id).await
    }

    pub(crate) async fn wait_mail(&self, event_id: Uuid) -> MailMessage {
        let id = message_id(event_id);
        let found = self
            .sink
            .wait_for_message(BOUND, |mail| mail.message_id.as_deref() == Some(&id))
            .await;
        found.unwrap_or_else(|error| panic!("no mail of event {event_id}: {error}"))
    }

    /// How many mails of the event came.
    pub(crate) fn mails_of(&self, event_id: Uuid) -> usize {
        let id = message_id(event_id);
        self.sink
            .messages()
            .iter()
            .filter(|mail| mail.message_id.as_deref() == Some(&id))
            .count()
    }

    /// Waits for the audit row in that status.
    pub(crate) async fn row(&self, event_id: Uuid, status: &str) -> LogRow {
        let what = format!("the audit row of {event_id} in status {status}");
        wait_for(&what, BOUND, async || {
            match log_rows(&self.db.pool, event_id).await.as_slice() {
                [row] if row.status == status => Ok(row.clone()),
                rows => Err(rows.to_vec()),
            }
        })
        .await
    }

    /// Waits until the event is in the inbox.
    pub(crate) async fn handled(&self, event_id: Uuid) {
        let seen = async || {
            let count: i64 = sqlx::query_scalar("SELECT count(*) FROM inbox WHERE event_id = $1")
                .bind(event_id)
                .fetch_one(&self.db.pool)
                .await
                .expect("inbox");
            count
        };
        wait_until(&format!("event {event_id} in the inbox"), BOUND, seen, |count| {
            *count == 1
        })
        .await;
    }

    /// Publishes a sign-up and waits until it is handled, so that the user is known.
    pub(crate) async fn sign_up(&self, user_id: i64, locale: &str) -> Uuid {
        let event = envelope(&format!("user/{user_id}"), 1, signup(user_id, locale));
        self.publish(&event).await;
        self.handled(event.id).await;
        event.id
    }

    /// Types and subjects of the outbox, in order.
    pub(crate) async fn outbox(&self) -> Vec<(String, serde_json::Value)> {
        sqlx::query_as("SELECT type, payload FROM outbox ORDER BY sequence")
            .fetch_all(&self.db.pool)
            .await
            .expect("outbox")
    }
}

/// A second process's worth of delivering, on the same database.
pub(crate) fn deliver(config: &Config, pool: PgPool) -> Arc<Deliver> {
    let channels = channels(config).expect("channels");
    Arc::new(Deliver::new(
        pool,
        channels,
        DeliverySettings::from(config),
        system_clock(),
    ))
}

#[derive(Clone, Debug, FromRow)]
pub(crate) struct LogRow {
    pub(crate) id: i64,
    pub(crate) user_id: i64,
    pub(crate) channel: String,
    pub(crate) template: String,
    pub(crate) template_version: Option<i32>,
    pub(crate) status: String,
    pub(crate) attempts: i32,
    pub(crate) error: Option<String>,
    pub(crate) trace_id: Option<String>,
    pub(crate) payload: Option<serde_json::Value>,
    pub(crate) message_id: Option<String>,
    pub(crate) sent_at: Option<OffsetDateTime>,
}

pub(crate) async fn log_rows(pool: &PgPool, event_id: Uuid) -> Vec<LogRow> {
    sqlx::query_as("SELECT * FROM notification_log WHERE event_id = $1 ORDER BY id")
        .bind(event_id)
        .fetch_all(pool)
        .await
        .expect("notification_log")
}

pub(crate) fn message_id(event_id: Uuid) -> String {
    format!("{event_id}.email@banyan.example")
}

pub(crate) fn address(user_id: i64) -> String {
    format!("user{user_id}@example.com")
}

/// An event of the monolith's.
pub(crate) fn envelope<D: EventData + Into<Event>>(subject: &str, sequence: i64, data: D) -> Envelope<Event> {
    Envelope::new(
        Uuid::now_v7(),
        "/monolith",
        subject,
        datetime!(2026-01-02 03:04:05 UTC),
        sequence,
        data,
    )
    .map(Into::into)
}

pub(crate) fn owned(mut envelope: Envelope<Event>, owner: EffectOwner) -> Envelope<Event> {
    envelope.effectowner = Some(owner);
    envelope
}

pub(crate) fn signup(user_id: i64, locale: &str) -> UserSignup {
    UserSignup {
        user_id,
        email: address(user_id),
        display_name: "Ada Lovelace".into(),
        locale: locale.into(),
        preferred_channel: Channel::Email,
        verification_token: "tok/en+1".into(),
    }
}

pub(crate) fn payment(payment_id: i64, user_id: i64) -> Envelope<Event> {
    let data = PaymentCompleted {
        payment_id,
        user_id,
        ..PaymentCompleted::sample()
    };
    envelope(&format!("payment/{payment_id}"), 1, data)
}
