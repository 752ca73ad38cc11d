//! Charges per second of the whole service, against pgbench writing the same rows by the same two statements.
//!
//! `cargo xtask bench charge`, or `cargo build --release -p payments --bins` and then
//! `cargo run --release -p payments --example bench_charge -- [--json] [--rounds N] [--seconds N]`.
//!
//! The service is a process of its own with everything on: tokens checked against published keys, metrics, spans exported (to a sink
//! that drops them), the relay publishing to RabbitMQ. PostgreSQL and RabbitMQ are the bench's own, with the settings of the local stack: commits
//! wait for the disk. Load generator, Stripe's stand-in, service, broker and database share the machine; pgbench has it for itself.
//! Service and ceiling take turns, so that whatever else the machine does meets both alike; medians are compared.

mod ceiling;
mod cpu;
mod http1;
mod load;
mod report;
mod stage;
mod stripe;

use std::time::Duration;

use anyhow::ensure;
use clap::Parser;

use load::Kind;
use report::{Rates, Report, Slow, median};
use stage::Stage;

/// Connections of the load generator, and of pgbench.
const CONNECTIONS: [usize; 3] = [8, 32, 128];
/// At how many connections repetitions are measured.
const REPLAYING: usize = 32;
/// How long Stripe takes, in milliseconds, and the requests in flight. Two thousand at 300 ms would be 6,667 charges a second, which no
/// two cores write; with ten times the delay they are really all at Stripe at once.
const SLOW: [(u64, usize); 3] = [(300, 150), (300, 2000), (3000, 2000)];

#[derive(Parser)]
#[command(about = "Charges per second against the same rows written by pgbench")]
struct Arguments {
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Windows of each kind.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of a window.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Seconds of load before a window begins.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.rounds > 0 && arguments.seconds > 0,
        "--rounds and --seconds must be at least 1"
    );
    let mut stage = Stage::start().await?;
    tokio::select! {
        report = measure(&mut stage, &arguments) => report?.print(arguments.json),
        // The servers are dropped, and with that killed.
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    }
}

async fn measure(stage: &mut Stage, arguments: &Arguments) -> anyhow::Result<Report> {
    let (warm_up, window) = (
        Duration::from_secs(arguments.warm_up),
        Duration::from_secs(arguments.seconds),
    );
    let mut rates = CONNECTIONS.map(Rates::of);
    let (mut replays, mut memory) = (Vec::new(), Vec::new());
    for round in 1..=arguments.rounds {
        for rates in &mut rates {
            eprintln!(
                "round {round} of {}, {} connections …",
                arguments.rounds, rates.connections
            );
            let charges = stage
                .service(Kind::Charge, rates.connections, warm_up, window)
                .await?;
            charges.load.none_failed()?;
            memory.push(charges.peak_kib);
            rates.take(&charges);
            if rates.connections == REPLAYING {
                let repeated = stage
                    .service(Kind::Replay, REPLAYING, Duration::from_secs(1), window / 2)
                    .await?;
                repeated.load.none_failed()?;
                replays.push(repeated.load.per_second());
            }
            rates.take_ceiling(&stage.ceiling(rates.connections, warm_up, window).await?);
        }
    }
    let mut slow = Vec::new();
    for (delay_ms, in_flight) in SLOW {
        eprintln!("{in_flight} in flight, Stripe takes {delay_ms} ms …");
        let delay = Duration::from_millis(delay_ms);
        stage.stripe.set_delay(delay);
        let charges = stage
            .service(Kind::Charge, in_flight, warm_up + 2 * delay, window)
            .await?;
        charges.load.none_failed()?;
        memory.push(charges.peak_kib);
        slow.push(Slow::of(delay_ms, in_flight, &charges));
    }
    Ok(Report {
        rounds: arguments.rounds,
        seconds: arguments.seconds,
        rates,
        replays_per_second: median(&replays),
        replaying: REPLAYING,
        peak_kib: memory.into_iter().max().unwrap_or_default(),
        slow,
        payments: stage.check().await?,
    })
}
