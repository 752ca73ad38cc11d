//! How fast tables are copied, followed and compared, and what that costs whoever uses the legacy database meanwhile.
//!
//! `cargo xtask bench sync`, `validate` and `sync-load`, or
//! `cargo run --release -p banyan-table-sync --example bench_tables -- sync|validate|load [--json] [--only PART] [--rounds N]`.
//!
//! Two PostgreSQL servers of its own, the legacy one and the service's, with the settings of the local stack (commits wait for the disk)
//! and 1 GB of shared buffers each. They share the machine, and its disk, with the sync and with whoever writes; for `load` they are
//! apart, as in earnest (`--machines one`: they are not). The table is the payments' as it is, made from the service's migrations. What
//! is compared takes turns, so that whatever else the machine does meets both alike.

mod changes;
mod legacy;
mod limits;
mod machines;
mod pgbench;
mod probes;
mod report;
mod running;
mod snapshot;
mod stage;
mod validation;

use clap::{Parser, ValueEnum};

use limits::Limits;
use report::Report;
use stage::{Machines, Stage};

#[derive(Parser)]
#[command(about = "Tables kept in step: rates, lag, and what it costs the legacy side")]
struct Arguments {
    /// What is measured.
    what: What,
    /// Prints one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Leaves out the other parts.
    #[arg(long)]
    only: Option<Part>,
    /// Runs of each kind.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Payments.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Payments in the part `memory`.
    #[arg(long, default_value_t = 10_000_000)]
    many_rows: u64,
    /// Where the servers are; by default two for `load` and one for the others.
    #[arg(long)]
    machines: Option<Machines>,
    #[command(flatten)]
    limits: Limits,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum What {
    /// The copy and the changes.
    Sync,
    /// The full validation.
    Validate,
    /// What all of it costs those who use the legacy database.
    Load,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Part {
    /// The copy against COPY to COPY.
    Snapshot,
    /// The most changes, and the lag.
    Changes,
    /// The load of others while the sync and the validation run.
    Legacy,
    /// A validation against a sum of hashes, without differences and with 500.
    Full,
    /// Ten times the rows.
    Memory,
}

impl Part {
    const fn of(what: What) -> &'static [Self] {
        match what {
            What::Sync => &[Self::Snapshot, Self::Changes],
            What::Validate => &[Self::Full, Self::Memory],
            What::Load => &[Self::Legacy],
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    anyhow::ensure!(arguments.rounds > 0, "--rounds must be at least 1");
    tokio::select! {
        report = measure(&arguments) => report?.print(arguments.json),
        // The servers are dropped, and with that killed.
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    }
    Ok(())
}

async fn measure(arguments: &Arguments) -> anyhow::Result<Report> {
    let (name, usual) = match arguments.what {
        What::Sync => ("sync", Machines::One),
        What::Validate => ("validate", Machines::One),
        What::Load => ("sync-load", Machines::Two),
    };
    let stage = Stage::start(arguments.rows, arguments.machines.unwrap_or(usual)).await?;
    let mut report = Report::new(name, stage.environment().await?);
    for part in Part::of(arguments.what) {
        if arguments.only.is_some_and(|only| only != *part) {
            continue;
        }
        match part {
            Part::Snapshot => snapshot::measure(&stage, arguments.rounds, &mut report).await?,
            Part::Changes => changes::measure(&stage, arguments.rounds, &mut report).await?,
            Part::Legacy => legacy::measure(&stage, &arguments.limits, arguments.rounds, &mut report).await?,
            Part::Full => validation::measure(&stage, arguments.rounds, &mut report).await?,
            Part::Memory => validation::memory(&stage, arguments.many_rows, &mut report).await?,
        }
    }
    Ok(report)
}
