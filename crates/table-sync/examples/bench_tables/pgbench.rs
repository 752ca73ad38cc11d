//! Load on the legacy side by pgbench: an open loop, so a transaction that has to wait for its turn is late and not left out.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use banyan_local_stack::postgres::binaries;
use tokio::process::Command;

use crate::machines::Machine;
use crate::stage::{Machines, Stage, payments};

/// Rows that a transaction of [`many_rows`] changes.
pub(crate) const ROWS_EACH: u64 = 20;

/// What a load does: scripts, in equal shares.
pub(crate) struct Load {
    scripts: Vec<String>,
    /// Transactions per second, at random moments.
    pub(crate) rate: u64,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
}

impl Load {
    /// Transactions that change twenty payments each: fifteen updates, four inserts and a delete.
    pub(crate) fn many_rows(rows_per_second: u64, warm_up: Duration, window: Duration) -> Self {
        let script = format!(
            "\\set first random(1, :rows)
             BEGIN;
             UPDATE payments_payment SET payout_due = NOT payout_due AND completed_at IS NOT NULL, updated_at = now()
               WHERE id = ANY (ARRAY(SELECT 1 + (:first + 7919 * n) % :rows FROM generate_series(1, 15) n));
             {};
             DELETE FROM payments_payment WHERE id = 1 + (:first + 7919 * 16) % :rows;
             COMMIT;",
            new_payments(4)
        );
        Self {
            scripts: vec![script],
            rate: rows_per_second / ROWS_EACH,
            warm_up,
            window,
        }
    }

    /// What a shop does: a payment is looked for and made, or locked and changed.
    pub(crate) fn of_a_shop(rate: u64, warm_up: Duration, window: Duration) -> Self {
        let make = format!(
            "\\set user random(1, 50000)
             BEGIN;
             SELECT id, status FROM payments_payment WHERE user_id = :user AND idempotency_key = 'not-there-yet';
             {};
             COMMIT;",
            new_payments(1)
        );
        let change = "\\set id random(1, :rows)
             BEGIN;
             SELECT * FROM payments_payment WHERE id = :id FOR UPDATE;
             UPDATE payments_payment SET payout_due = NOT payout_due AND completed_at IS NOT NULL, updated_at = now() WHERE id = :id;
             COMMIT;";
        Self {
            scripts: vec![make, change.to_owned()],
            rate,
            warm_up,
            window,
        }
    }

    /// Latencies in microseconds, sorted, from when a transaction was due to when it was committed.
    pub(crate) async fn run(&self, stage: &Stage) -> anyhow::Result<Vec<u64>> {
        let dir = tempfile::tempdir_in(stage.dir.path())?;
        let log = dir.path().join("log");
        let seconds = (self.warm_up + self.window).as_secs();
        let program = binaries()?.join("pgbench");
        let mut command = match stage.machines {
            Machines::One => Command::new(program),
            Machines::Two => Machine::clients(&program)?,
        };
        command.args(["--no-vacuum", "--protocol=prepared", "--client=16", "--jobs=1"]);
        command.args(["--max-tries=3", "--log"]);
        command.arg(format!("--log-prefix={}", log.display()));
        command.arg(format!("--rate={}", self.rate));
        command.arg(format!("--time={seconds}"));
        command.arg(format!("--define=rows={}", stage.rows));
        for (number, script) in self.scripts.iter().enumerate() {
            let file = dir.path().join(format!("{number}.sql"));
            std::fs::write(&file, one_line_each(script))?;
            command.arg(format!("--file={}", file.display()));
        }
        let output = command.arg(&stage.legacy.url).kill_on_drop(true).output().await?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pgbench: {told}");
        ensure!(!told.contains("ERROR"), "pgbench: {told}");
        let logs = std::fs::read_dir(dir.path())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().starts_with(&*log.to_string_lossy()))
            .collect();
        latencies(logs, self.warm_up)
    }
}

/// `client transaction latency script seconds microseconds lag retries`, one line for each transaction.
fn latencies(logs: Vec<PathBuf>, warm_up: Duration) -> anyhow::Result<Vec<u64>> {
    let mut all: Vec<(u64, u64)> = Vec::new();
    for log in logs {
        for line in std::fs::read_to_string(&log)?.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
            let read = || Some((number(4)? * 1_000_000 + number(5)?, number(2)?));
            all.push(read().with_context(|| format!("pgbench's log has {line}"))?);
        }
    }
    let first = all.iter().map(|(at, _)| *at).min().unwrap_or_default();
    let from = first + u64::try_from(warm_up.as_micros())?;
    let mut latencies: Vec<u64> = all
        .iter()
        .filter(|(at, _)| *at >= from)
        .map(|(_, latency)| *latency)
        .collect();
    ensure!(!latencies.is_empty(), "pgbench did nothing");
    latencies.sort_unstable();
    Ok(latencies)
}

fn new_payments(count: u64) -> String {
    payments(&format!(
        "(SELECT nextval('new_payment') FROM generate_series(1, {count}))"
    ))
    .lines()
    .filter(|line| !line.starts_with("--"))
    .collect::<Vec<_>>()
    .join(" ")
}

/// pgbench reads a backslash command at the beginning of a line only.
fn one_line_each(script: &str) -> String {
    script
        .lines()
        .map(|line| line.trim_start().to_owned() + "\n")
        .collect()
}
