//! How fast the relay moves outbox rows to confirmed publishes, against the raw ceiling: lapin publishing the same
//! messages with confirms to the same queue.
//!
//! `cargo xtask bench relay`, or `cargo run --release -p banyan-messaging --example bench_relay -- --runs 9`.
//! Starts a PostgreSQL and a RabbitMQ of its own, with the settings of the local stack (commits wait for the disk). The
//! two kinds of run take turns, so that whatever else the machine does meets both alike; the medians are compared.

use std::{
    collections::VecDeque,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use banyan_events::EventKind;
use banyan_local_stack::{
    postgres::{Postgres, PostgresSettings},
    rabbitmq::RabbitMq,
};
use banyan_messaging::{Broker, BrokerConfig, OUTBOX_SQL, Relay, RelayConfig, topology};
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use futures::FutureExt;
use lapin::{
    BasicProperties, Channel, Confirmation, PublisherConfirm,
    options::{
        BasicGetOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable},
};
use serde_json::json;
use sqlx::{PgPool, postgres::PgPoolOptions};

const QUEUE: &str = "bench.events";
/// Unconfirmed messages of the raw publisher. The relay has up to a thousand; the better of the two is the ceiling.
const WINDOWS: [usize; 2] = [500, 1000];
/// The relay is to reach this many thousandths of the raw ceiling.
const GOAL: u64 = 600;

#[derive(Parser)]
#[command(about = "Relay throughput against the raw ceiling of publishing with confirms")]
struct Arguments {
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Outbox rows in each run.
    #[arg(long, default_value_t = 20_000)]
    events: u32,
    /// Runs of each kind.
    #[arg(long, default_value_t = 7)]
    runs: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.events > 0 && arguments.runs > 0,
        "--events and --runs must be at least 1"
    );
    let mut bench = Bench::start(arguments.events).await?;
    tokio::select! {
        measured = bench.measure(arguments.runs) => report(&arguments, &measured?),
        // The servers are dropped, and with that killed.
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    }
}

/// Confirmed messages per second, one figure a run.
#[derive(Default)]
struct Measured {
    raw: [Vec<u64>; 2],
    relay: Vec<u64>,
    /// The relay with all events in one subject, which it must not publish side by side.
    one_subject: Vec<u64>,
}

struct Bench {
    pool: PgPool,
    relay: Relay,
    channel: Channel,
    events: u32,
    _broker: Broker,
    _postgres: Postgres,
    _rabbitmq: RabbitMq,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn start(events: u32) -> anyhow::Result<Self> {
        eprintln!("starting a PostgreSQL and a RabbitMQ …");
        let dir = tempfile::tempdir().context("no temporary directory")?;
        // The servers run as other accounts where this runs as root.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711))?;
        let (postgres, rabbitmq) = tokio::try_join!(
            Postgres::start(dir.path().join("postgres"), 0, PostgresSettings::default()),
            RabbitMq::start(dir.path().join("rabbitmq"), 0, 0),
        )?;
        rabbitmq.create_vhost("bench").await?;
        let url = postgres.create_role_and_database("bench").await?;
        let pool = PgPoolOptions::new().max_connections(4).connect(&url).await?;
        sqlx::raw_sql(OUTBOX_SQL).execute(&pool).await?;
        let config = BrokerConfig::new(rabbitmq.amqp_url("bench"), "bench");
        let broker = Broker::connect(&config, "raw").await?;
        let channel = broker.confirm_channel().await?;
        declare(&channel).await?;
        let relay = Relay::new(pool.clone(), config, "/monolith", RelayConfig::default());
        Ok(Self {
            pool,
            relay,
            channel,
            events,
            _broker: broker,
            _postgres: postgres,
            _rabbitmq: rabbitmq,
            _dir: dir,
        })
    }

    async fn measure(&mut self, runs: usize) -> anyhow::Result<Measured> {
        // Warms everything up, and leaves the very messages that the raw publisher sends.
        self.relay_run(self.events, self.events).await?;
        let messages = self.take_messages().await?;
        let mut measured = Measured::default();
        for run in 1..=runs {
            eprintln!("run {run} of {runs} …");
            for (window, figures) in WINDOWS.into_iter().zip(&mut measured.raw) {
                figures.push(self.raw_run(&messages, window).await?);
            }
            measured
                .relay
                .push(self.relay_run(self.events, self.events).await?);
            measured
                .one_subject
                .push(self.relay_run(1, self.events.min(2_000)).await?);
        }
        Ok(measured)
    }

    /// Publishes with a window of unconfirmed messages.
    async fn raw_run(&self, messages: &[(Vec<u8>, BasicProperties)], window: usize) -> anyhow::Result<u64> {
        self.empty_queue().await?;
        let started = Instant::now();
        let mut unconfirmed: VecDeque<PublisherConfirm> = VecDeque::with_capacity(window);
        for (body, properties) in messages {
            if unconfirmed.len() == window {
                take_confirms(&mut unconfirmed).await?;
            }
            let confirm = self
                .channel
                .basic_publish(
                    topology::DOMAIN_EVENTS.into(),
                    EventKind::PaymentCompleted.name().into(),
                    BasicPublishOptions::default(),
                    body,
                    properties.clone(),
                )
                .await?;
            unconfirmed.push_back(confirm);
        }
        while !unconfirmed.is_empty() {
            take_confirms(&mut unconfirmed).await?;
        }
        Ok(per_second(self.events, started.elapsed()))
    }

    /// From rows that lie in the outbox to marked ones. The relay's election and its connections are in the time.
    async fn relay_run(&self, subjects: u32, events: u32) -> anyhow::Result<u64> {
        self.empty_queue().await?;
        self.fill_outbox(subjects, events).await?;
        let started = Instant::now();
        let published = self.relay.drain_once().await?;
        let taken = started.elapsed();
        ensure!(
            published == events as usize,
            "{published} of {events} were published"
        );
        Ok(per_second(events, taken))
    }

    async fn fill_outbox(&self, subjects: u32, events: u32) -> anyhow::Result<()> {
        sqlx::raw_sql("TRUNCATE outbox").execute(&self.pool).await?;
        sqlx::query(
            "INSERT INTO outbox (id, subject, type, payload, headers)
             SELECT gen_random_uuid(), 'payment/' || n % $2, $3, $4, jsonb_build_object('effectowner', 'new',
               'dataschema', $5::text, 'traceparent', '00-' || md5(n::text) || '-' || left(md5(n::text), 16) || '-01')
             FROM generate_series(1, $1) n",
        )
        .bind(i64::from(events))
        .bind(i64::from(subjects))
        .bind(EventKind::PaymentCompleted.name())
        .bind(serde_json::to_value(EventKind::PaymentCompleted.sample())?)
        .bind(EventKind::PaymentCompleted.dataschema())
        .execute(&self.pool)
        .await?;
        // What the filling left to do is not the relay's.
        sqlx::raw_sql("VACUUM ANALYZE outbox").execute(&self.pool).await?;
        Ok(())
    }

    async fn empty_queue(&self) -> anyhow::Result<()> {
        self.channel
            .queue_purge(QUEUE.into(), QueuePurgeOptions::default())
            .await?;
        Ok(())
    }

    async fn take_messages(&self) -> anyhow::Result<Vec<(Vec<u8>, BasicProperties)>> {
        let mut messages = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = self.channel.basic_get(QUEUE.into(), options).await? {
            messages.push((message.delivery.data, message.delivery.properties));
        }
        ensure!(messages.len() == self.events as usize, "messages are missing");
        Ok(messages)
    }
}

/// Waits for the oldest confirm and takes every other that is there: one wake-up for many, which is quicker than one each.
async fn take_confirms(unconfirmed: &mut VecDeque<PublisherConfirm>) -> anyhow::Result<()> {
    let Some(oldest) = unconfirmed.pop_front() else {
        return Ok(());
    };
    let mut answer = Some(oldest.await);
    while let Some(confirmed) = answer {
        ensure!(confirmed? == Confirmation::Ack(None), "a message was refused");
        answer = unconfirmed.front_mut().and_then(FutureExt::now_or_never);
        if answer.is_some() {
            unconfirmed.pop_front();
        }
    }
    Ok(())
}

async fn declare(channel: &Channel) -> anyhow::Result<()> {
    topology::declare_exchanges(channel).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel.queue_declare(QUEUE.into(), options, arguments).await?;
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel
        .queue_bind(
            QUEUE.into(),
            topology::DOMAIN_EVENTS.into(),
            "#".into(),
            options,
            none,
        )
        .await?;
    Ok(())
}

fn per_second(events: u32, taken: Duration) -> u64 {
    let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX).max(1);
    u64::from(events) * 1_000_000 / micros
}

fn median(figures: &[u64]) -> u64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// Thousandths as a decimal fraction.
fn decimal(thousandths: u64) -> String {
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

fn report(arguments: &Arguments, measured: &Measured) -> anyhow::Result<()> {
    let raw = measured
        .raw
        .iter()
        .map(|figures| median(figures))
        .max()
        .unwrap_or(1)
        .max(1);
    let ratio = |figures: &[u64]| median(figures) * 1000 / raw;
    let reached = ratio(&measured.relay);
    if arguments.json {
        let number = |thousandths| decimal(thousandths).parse::<serde_json::Number>();
        let report = json!({
            "bench": "relay", "events": arguments.events, "runs": arguments.runs,
            "rawPerSecond": raw, "relayPerSecond": median(&measured.relay), "ratio": number(reached)?,
            "goal": number(GOAL)?, "goalReached": reached >= GOAL,
            "oneSubjectPerSecond": median(&measured.one_subject),
            "samples": {"raw500": measured.raw[0], "raw1000": measured.raw[1], "relay": measured.relay, "oneSubject": measured.one_subject},
        });
        println!("{report}");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "confirmed messages per second",
        "median",
        "least",
        "most",
        "of raw",
    ]);
    for (name, figures) in [
        ("raw: lapin, confirms, window 500", &measured.raw[0]),
        ("raw: lapin, confirms, window 1000", &measured.raw[1]),
        ("relay", &measured.relay),
        ("relay, all events of one subject", &measured.one_subject),
    ] {
        let (least, most) = (figures.iter().min(), figures.iter().max());
        table.add_row([
            name.to_owned(),
            median(figures).to_string(),
            least.map_or_else(String::new, ToString::to_string),
            most.map_or_else(String::new, ToString::to_string),
            decimal(ratio(figures)),
        ]);
    }
    for column in 1..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
    println!(
        "{} runs of {} events; the goal of {} is {}",
        arguments.runs,
        arguments.events,
        decimal(GOAL),
        if reached >= GOAL { "reached" } else { "missed" },
    );
    Ok(())
}
