//! Events handled per second, against a bare consumer that acknowledges and inserts one row per message.
//!
//! `cargo run --release -p notifications --example bench_notifications -- [--json] [--rounds N] [--events N]`
//!
//! Both read the same queue type with the same prefetch, from a PostgreSQL and a RabbitMQ of this bench with the settings of the
//! local stack: commits wait for the disk. The service does all of its work: inbox, contact, preferences, templates, a mail by
//! SMTP, audit row, inbox row and outgoing event. The mail server runs on a thread of its own and answers at once. Runs are
//! interleaved; medians and their ratio are told.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use banyan_events::{CONTENT_TYPE, Envelope, Event, EventData, payloads::PaymentCompleted};
use banyan_local_stack::{
    postgres::{Postgres, PostgresSettings},
    rabbitmq::RabbitMq,
};
use banyan_messaging::{
    Broker, BrokerConfig, Consumer, ConsumerConfig, Delivery, Handler, HandlerError, topology,
};
use futures::StreamExt;
use lapin::{
    BasicProperties, Channel,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueuePurgeOptions,
    },
    types::FieldTable,
};
use notifications::{
    Notifications,
    app::{channels, system_clock},
    config::{Config, DeliverySettings},
    consumers::Events,
    domain::notice::CONSUMED,
    use_cases::{deliver::Deliver, install_templates},
};
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PREFETCH: [u16; 2] = [20, 200];
const USERS: i64 = 1000;
const POOL: u32 = 16;
/// Nobody waits longer for one run.
const BOUND: Duration = Duration::from_mins(2);

/// Counts what is done and tells when all is.
#[derive(Default)]
struct Progress {
    done: AtomicUsize,
    began: Mutex<Option<Instant>>,
    wanted: usize,
    all: Notify,
}

impl Progress {
    fn of(wanted: usize) -> Arc<Self> {
        Arc::new(Self {
            wanted,
            ..Self::default()
        })
    }

    fn begin(&self) {
        self.began
            .lock()
            .expect("a lock")
            .get_or_insert_with(Instant::now);
    }

    fn finish(&self) {
        if self.done.fetch_add(1, Ordering::Relaxed) + 1 == self.wanted {
            self.all.notify_one();
        }
    }

    /// Events per second, from the first begun to the last done.
    async fn rate(&self) -> f64 {
        tokio::time::timeout(BOUND, self.all.notified())
            .await
            .expect("the run ends within two minutes");
        let began = self.began.lock().expect("a lock").expect("begun");
        per_second(self.wanted, began.elapsed())
    }
}

#[allow(
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    reason = "a measurement, not money"
)]
fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

struct Counted {
    inner: Events,
    progress: Arc<Progress>,
}

impl Handler for Counted {
    async fn handle(&self, delivery: &Delivery) -> Result<(), HandlerError> {
        self.progress.begin();
        let outcome = self.inner.handle(delivery).await;
        match &outcome {
            Ok(()) => self.progress.finish(),
            Err(error) => eprintln!("not handled: {error}"),
        }
        outcome
    }
}

struct Bench {
    pool: PgPool,
    broker: BrokerConfig,
    config: Config,
    events: usize,
    mails: Arc<AtomicUsize>,
    _postgres: Postgres,
    _rabbitmq: RabbitMq,
    // Last, so that the servers end before their files go.
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn new(events: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        // The servers run as other accounts where this runs as root.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).expect("permissions");
        let (postgres, rabbitmq) = tokio::try_join!(
            Postgres::start(dir.path().join("postgres"), 0, PostgresSettings::default()),
            RabbitMq::start(dir.path().join("rabbitmq"), 0, 0),
        )
        .expect("the servers");
        rabbitmq.create_vhost("bench").await.expect("a vhost");
        let url = postgres
            .create_role_and_database("bench")
            .await
            .expect("a database");
        let (address, mails) = mail_server();
        let pool = sqlx::postgres::PgPoolOptions::new()
            .max_connections(POOL)
            .test_before_acquire(false)
            .connect(&url)
            .await
            .expect("a pool");
        notifications::migrator().run(&pool).await.expect("migrations");
        install_templates::release(&pool).await.expect("templates");
        sqlx::raw_sql("CREATE TABLE bare (event_id uuid PRIMARY KEY, type text NOT NULL, at timestamptz NOT NULL DEFAULT now())")
            .execute(&pool)
            .await
            .expect("a table");
        sqlx::query("INSERT INTO contact (user_id, email, locale) SELECT n, 'user' || n || '@example.com', 'en' FROM generate_series(1, $1) n")
            .bind(USERS)
            .execute(&pool)
            .await
            .expect("contacts");
        sqlx::raw_sql("ANALYZE").execute(&pool).await.expect("statistics");
        Self {
            config: configuration(address),
            pool,
            broker: BrokerConfig::new(rabbitmq.amqp_url("bench"), "bench"),
            events,
            mails,
            _postgres: postgres,
            _rabbitmq: rabbitmq,
            _dir: dir,
        }
    }

    async fn service(&self, prefetch: u16) -> f64 {
        let mails_before = self.mails.load(Ordering::Relaxed);
        let channels = channels(&self.config).expect("channels");
        let settings = DeliverySettings::from(&self.config);
        let deliver = Arc::new(Deliver::new(
            self.pool.clone(),
            channels,
            settings,
            system_clock(),
        ));
        let progress = Progress::of(self.events);
        let config = ConsumerConfig {
            prefetch,
            ..ConsumerConfig::default()
        };
        let handler = Counted {
            inner: Events::new(deliver, config.retry_delays_ms.len()),
            progress: Arc::clone(&progress),
        };
        let consumer = Consumer::new("notifications", CONSUMED, self.broker.clone(), config, handler);
        consumer.declare().await.expect("queues");
        self.publish().await;
        let stop = CancellationToken::new();
        let running = tokio::spawn(consumer.run(stop.clone()));
        let rate = progress.rate().await;
        stop.cancel();
        running.await.expect("a task").expect("a consumer");
        let rows: i64 =
            sqlx::query_scalar("SELECT count(*) FROM notification_log WHERE status = 'delivered'")
                .fetch_one(&self.pool)
                .await
                .expect("a count");
        assert_eq!(usize::try_from(rows).ok(), Some(self.events), "audit rows");
        assert_eq!(
            self.mails.load(Ordering::Relaxed) - mails_before,
            self.events,
            "mails"
        );
        rate
    }

    async fn bare(&self, prefetch: u16) -> f64 {
        let broker = self.connect().await;
        let channel = broker.channel().await.expect("a channel");
        topology::declare(&channel, "notifications", CONSUMED)
            .await
            .expect("queues");
        self.publish().await;
        channel
            .basic_qos(prefetch, BasicQosOptions::default())
            .await
            .expect("a prefetch");
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let deliveries = channel
            .basic_consume("notifications.events".into(), "bare".into(), options, arguments)
            .await
            .expect("a consumer");
        let progress = Progress::of(self.events);
        let (pool, counted) = (self.pool.clone(), Arc::clone(&progress));
        let consuming = tokio::spawn(deliveries.for_each(move |delivery| {
            let (pool, progress) = (pool.clone(), Arc::clone(&counted));
            async move {
                let delivery = delivery.expect("a delivery");
                tokio::spawn(async move {
                    progress.begin();
                    let id = delivery.properties.message_id().as_ref().expect("an id").as_str();
                    sqlx::query("INSERT INTO bare (event_id, type) VALUES ($1, $2)")
                        .bind(id.parse::<Uuid>().expect("a UUID"))
                        .bind(delivery.routing_key.as_str())
                        .execute(&pool)
                        .await
                        .expect("a row");
                    delivery
                        .ack(BasicAckOptions::default())
                        .await
                        .expect("acknowledged");
                    progress.finish();
                });
            }
        }));
        let rate = progress.rate().await;
        broker.close().await;
        let _ = consuming.await;
        rate
    }

    /// Fills the queue.
    async fn publish(&self) {
        sqlx::raw_sql("TRUNCATE notification_log, inbox, outbox, bare")
            .execute(&self.pool)
            .await
            .expect("emptied");
        let broker = self.connect().await;
        let channel = broker.confirm_channel().await.expect("a channel");
        // Acknowledgements that were on their way when the bare consumer's connection closed.
        channel
            .queue_purge("notifications.events".into(), QueuePurgeOptions::default())
            .await
            .expect("purged");
        let mut confirms = Vec::with_capacity(self.events);
        for (id, user_id) in (1..).zip((1..=USERS).cycle()).take(self.events) {
            confirms.push(publish_one(&channel, id, user_id).await);
        }
        for confirm in confirms {
            confirm.await.expect("confirmed");
        }
        broker.close().await;
    }

    async fn connect(&self) -> Broker {
        Broker::connect(&self.broker, "bench").await.expect("a broker")
    }
}

/// Hands one event to the broker; the answer is awaited later, so that publishing does not wait for each.
async fn publish_one(
    channel: &Channel,
    payment_id: i64,
    user_id: i64,
) -> impl Future<Output = lapin::Result<lapin::Confirmation>> + use<> {
    let data = PaymentCompleted {
        payment_id,
        user_id,
        ..PaymentCompleted::sample()
    };
    let subject = format!("payment/{payment_id}");
    let envelope: Envelope<Event> = Envelope::new(
        Uuid::now_v7(),
        "/monolith",
        &subject,
        OffsetDateTime::UNIX_EPOCH,
        1,
        data,
    )
    .map(Event::from);
    let properties = BasicProperties::default()
        .with_message_id(envelope.id.to_string().into())
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(2);
    let body = serde_json::to_vec(&envelope).expect("JSON");
    let (exchange, key) = (topology::DOMAIN_EVENTS.into(), envelope.kind.as_str().into());
    channel
        .basic_publish(exchange, key, BasicPublishOptions::default(), &body, properties)
        .await
        .expect("published")
}

fn configuration(mail: SocketAddr) -> Config {
    let settings = [
        ("DATABASE__URL", "postgres://nobody@127.0.0.1/none".to_owned()),
        ("BROKER__URL", "amqp://nobody@127.0.0.1/none".to_owned()),
        ("EMAIL__SMTP__PORT", mail.port().to_string()),
    ];
    let environment =
        settings.map(|(key, value)| (format!("BANYAN_NOTIFICATIONS__{key}").into(), value.into()));
    banyan_service_kit::config::load::<Notifications>(None, environment)
        .expect("a configuration")
        .service
}

/// A mail server that says yes at once and counts; a thread per connection.
fn mail_server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let mails = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&mails);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mails = Arc::clone(&counted);
            std::thread::spawn(move || serve(stream, &mails));
        }
    });
    (address, mails)
}

fn serve(stream: TcpStream, mails: &AtomicUsize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut answer = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    let (mut line, mut in_data) = (Vec::new(), false);
    answer.write_all(b"220 bench ESMTP\r\n")?;
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match (in_data, line.as_slice()) {
            (true, b".\r\n") => {
                in_data = false;
                mails.fetch_add(1, Ordering::Relaxed);
                answer.write_all(b"250 OK\r\n")?;
            }
            (true, _) => {}
            (false, b"DATA\r\n") => {
                in_data = true;
                answer.write_all(b"354 go on\r\n")?;
            }
            (false, command) if command.starts_with(b"EHLO") => {
                answer.write_all(b"250-bench\r\n250 8BITMIME\r\n")?;
            }
            (false, b"QUIT\r\n") => return answer.write_all(b"221 bye\r\n"),
            (false, _) => answer.write_all(b"250 OK\r\n")?,
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[allow(clippy::float_arithmetic, reason = "a measurement, not money")]
async fn measure(rounds: usize, events: usize, json: bool) {
    let bench = Bench::new(events).await;
    let mut rates: BTreeMap<u16, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for round in 0..=rounds {
        for prefetch in PREFETCH {
            let (bare, service) = (bench.bare(prefetch).await, bench.service(prefetch).await);
            // The first round warms caches and plans.
            if round > 0 {
                let (bares, services) = rates.entry(prefetch).or_default();
                bares.push(bare);
                services.push(service);
            }
        }
    }
    let mut results = Vec::new();
    for (prefetch, (bare, service)) in rates {
        let (bare, service) = (median(bare), median(service));
        let ratio = service / bare;
        if !json {
            println!(
                "prefetch {prefetch:3}: service {service:.0}/s, bare consumer {bare:.0}/s, ratio {ratio:.2} (goal 0.50)"
            );
        }
        results.push(serde_json::json!({
            "prefetch": prefetch, "servicePerSecond": service.round(), "barePerSecond": bare.round(),
            "ratio": (ratio * 1000.0).round() / 1000.0, "goal": 0.5, "met": ratio >= 0.5,
        }));
    }
    if json {
        let report = serde_json::json!({"bench": "notifications", "rounds": rounds, "events": events, "results": results});
        println!("{report:#}");
    }
    bench.pool.close().await;
    drop(bench);
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str, default: usize| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(at + 1)?.parse().unwrap_or(default))
    };
    let (rounds, events) = (
        number("--rounds", 5).unwrap_or(5),
        number("--events", 5000).unwrap_or(5000),
    );
    let json = arguments.iter().any(|argument| argument == "--json");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            runtime.block_on(measure(rounds, events, json));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("no runtime: {error}");
            ExitCode::FAILURE
        }
    }
}
