//! What a service costs when nothing happens: resident memory when idle, and the time from its start until it is ready.
//!
//! `cargo xtask bench footprint`. Starts every program several times on a PostgreSQL and a RabbitMQ that are up, with its
//! migrations applied, waits until it says that it is ready, leaves it alone for a while and reads its VmRSS.

use std::time::Duration;

use anyhow::ensure;
use banyan_test_support::{STRIPE_KEY, ServiceCommand, TestDb, TestVhost, binary};
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::json;

const PROGRAMS: [&str; 5] = ["payments", "users", "notifications", "reporting", "cutover"];
/// Resident memory is to stay below this, in KiB.
const MEMORY_GOAL: u64 = 40 * 1024;
/// A program is to be ready sooner than this, in milliseconds.
const READY_GOAL: u64 = 1000;

#[derive(Parser)]
#[command(about = "Idle memory of each program, and the time from its start until it is ready")]
struct Arguments {
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Starts of each program.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Seconds of idleness before the memory is read.
    #[arg(long, default_value_t = 5)]
    idle: u64,
}

/// Medians over the starts of one program.
struct Footprint {
    program: &'static str,
    ready_ms: u64,
    idle_kib: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.runs > 0, "--runs must be at least 1");
    let mut footprints = Vec::new();
    for program in PROGRAMS {
        footprints.push(measure(program, &arguments).await?);
    }
    report(&arguments, &footprints);
    Ok(())
}

async fn measure(program: &'static str, arguments: &Arguments) -> anyhow::Result<Footprint> {
    let (database, vhost) = tokio::join!(TestDb::create(None), TestVhost::create());
    let command = ServiceCommand::new(binary(program))
        .config("database.url", &database.url)
        .config("broker.url", &vhost.amqp_url);
    let command = if program == "payments" {
        command
            .config("stripe.secret_key", STRIPE_KEY)
            .config("stripe.webhook_secret", "whsec_bench")
    } else {
        command
    };
    let command = if program == "cutover" {
        sqlx::raw_sql(banyan_messaging::OUTBOX_SQL)
            .execute(&database.pool)
            .await?;
        command
            .args(["serve", "--only", "relay"])
            .config("legacy.database.url", &database.url)
    } else {
        let migrated = command.clone().args(["migrate"]).output().await;
        ensure!(
            migrated.status.success(),
            "{program} migrate: {}",
            String::from_utf8_lossy(&migrated.stderr)
        );
        command
    };
    let (mut ready, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        let service = command.clone().start().await;
        service.ready().await;
        ready.push(u64::try_from(service.age().as_millis())?);
        tokio::time::sleep(Duration::from_secs(arguments.idle)).await;
        idle.push(service.resident_bytes() / 1024);
        service.stop(Duration::from_secs(10)).await;
    }
    Ok(Footprint {
        program,
        ready_ms: median(ready),
        idle_kib: median(idle),
    })
}

fn median(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

fn report(arguments: &Arguments, footprints: &[Footprint]) {
    let reached = footprints
        .iter()
        .all(|one| one.idle_kib < MEMORY_GOAL && one.ready_ms < READY_GOAL);
    if arguments.json {
        let programs: Vec<_> = footprints
            .iter()
            .map(|one| json!({"program": one.program, "readyMilliseconds": one.ready_ms, "idleKib": one.idle_kib}))
            .collect();
        let report = json!({
            "bench": "footprint", "runs": arguments.runs, "idleSeconds": arguments.idle, "programs": programs,
            "goal": {"readyMilliseconds": READY_GOAL, "idleKib": MEMORY_GOAL}, "goalReached": reached,
        });
        println!("{report}");
        return;
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["program", "start to ready, ms", "idle memory, KiB"]);
    for one in footprints {
        table.add_row([
            one.program.to_owned(),
            one.ready_ms.to_string(),
            one.idle_kib.to_string(),
        ]);
    }
    for column in 1..3 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
    println!(
        "medians of {} starts; the goal of {MEMORY_GOAL} KiB and {READY_GOAL} ms is {}",
        arguments.runs,
        if reached { "reached" } else { "missed" }
    );
}
