//! The copy, against COPY to COPY of the same columns into the same table: `psql` to `psql`, with the foreign keys asleep there too.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use banyan_local_stack::postgres::binaries;
use banyan_table_sync::snapshot::Limits;
use banyan_table_sync::{Direction, Table};
use tokio::process::Command;

use crate::report::{Figure, Report, median, per_second};
use crate::running::Running;
use crate::stage::Stage;

/// Of the rate of COPY to COPY.
const GOAL: Figure = Figure::thousandths(700);

pub(crate) async fn measure(stage: &Stage, rounds: usize, report: &mut Report) -> anyhow::Result<()> {
    let (mut ours, mut ceiling) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        eprintln!("snapshot, round {round} of {rounds} …");
        stage.empty().await?;
        ceiling.push(copy_to_copy(stage).await?);
        stage.empty().await?;
        ours.push(ours_once(stage).await?);
    }
    let reached = Figure::ratio(median(&ours), median(&ceiling));
    report.row("snapshot: rows/s", "ours", &ours);
    report.row("snapshot: rows/s", "COPY to COPY", &ceiling);
    report.at_least("snapshot: ratio to COPY to COPY", reached, GOAL);
    Ok(())
}

/// From nothing to a copy that has caught up.
async fn ours_once(stage: &Stage) -> anyhow::Result<u64> {
    let began = Instant::now();
    let running = Running::start(&stage.link, Limits::unthrottled());
    stage.settled(&stage.link).await?;
    let taken = began.elapsed();
    running.stop().await?;
    all_there(stage).await?;
    Ok(per_second(stage.rows, taken))
}

async fn copy_to_copy(stage: &Stage) -> anyhow::Result<u64> {
    let table = stage.link.mapping.table("payment").context("no such table")?;
    let ((select, names), lookup) = (mapped(table), table.lookup(Direction::Forward));
    let psql = binaries()?.join("psql");
    let mut command = Command::new("sh");
    command
        .args([
            "-ec",
            r#""$PSQL" -Xqd "$LEGACY" -c "$OUT" | "$PSQL" -Xqd "$SERVICE" -c "$IN""#,
        ])
        .env("PSQL", psql)
        .env("PGOPTIONS", "-c session_replication_role=replica")
        .env("LEGACY", &stage.legacy.url)
        .env("SERVICE", &stage.service.url)
        .env(
            "OUT",
            format!("COPY (SELECT {select} FROM payments_payment s{lookup}) TO STDOUT"),
        )
        .env("IN", format!("COPY payment ({names}) FROM STDIN"))
        .kill_on_drop(true);
    let began = Instant::now();
    let output = command.output().await?;
    let taken = began.elapsed();
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && told.is_empty(), "psql: {told}");
    all_there(stage).await?;
    Ok(per_second(stage.rows, taken))
}

/// What the mapping makes of a row, and where it goes.
fn mapped(table: &Table) -> (String, String) {
    let same = table
        .same
        .iter()
        .map(|(source, target)| (format!("s.{source}"), target));
    let computed = table
        .forward
        .iter()
        .map(|(target, expression)| (expression.clone(), target));
    let (select, names): (Vec<_>, Vec<_>) = same
        .chain(computed)
        .map(|(expression, name)| (expression, name.clone()))
        .unzip();
    (select.join(", "), names.join(", "))
}

async fn all_there(stage: &Stage) -> anyhow::Result<()> {
    let rows = stage.service.number("SELECT count(*) FROM payment").await?;
    ensure!(
        u64::try_from(rows)? == stage.rows,
        "{rows} of {} payments were copied",
        stage.rows
    );
    Ok(())
}
