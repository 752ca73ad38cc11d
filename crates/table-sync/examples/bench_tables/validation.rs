//! The full validation, against the simplest query that reads all rows of both tables: the sum of their hashes.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use banyan_table_sync::validate::{Options, full};
use banyan_table_sync::{Direction, changes};
use tokio_util::sync::CancellationToken;

use crate::report::{Figure, Report, median};
use crate::stage::Stage;

/// Times the sum of hashes.
const GOAL: Figure = Figure::whole(3);
/// Times a validation that finds nothing.
const DIFFERENCES_GOAL: Figure = Figure::whole(2);
const DIFFERENCES: usize = 500;
const MEMORY_GOAL_KIB: Figure = Figure::whole(100 * 1024);

fn unthrottled() -> Options {
    Options {
        tables: vec!["payment".to_owned()],
        ..Options::unthrottled()
    }
}

pub(crate) async fn measure(stage: &Stage, rounds: usize, report: &mut Report) -> anyhow::Result<()> {
    // No sync runs: what is planted stays, and nothing else takes the machine.
    stage.in_step().await?.stop().await?;
    changes::remove(&stage.link, Direction::Forward).await?;
    let (mut equal, mut gentle, mut differing, mut plain) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // What it takes with them follows: a million rows take minutes.
    let without_pauses = Options {
        pause_percent: 0,
        ..Options::default()
    };
    for round in 1..=rounds {
        eprintln!("validation, round {round} of {rounds} …");
        plain.push(hashes(stage).await?);
        equal.push(validate(stage, &unthrottled(), 0).await?);
        gentle.push(validate(stage, &without_pauses, 0).await?);
        stage.service.execute(PLANT).await?;
        differing.push(validate(stage, &unthrottled(), DIFFERENCES).await?);
        stage.service.execute(MEND).await?;
        stage.rest().await?;
    }
    for (name, figures) in [
        ("sum of hashes, both sides at once", &plain),
        ("validation, unlimited", &equal),
        ("validation, default ranges without their pauses", &gentle),
        ("validation with 500 differences, unlimited", &differing),
    ] {
        report.row("validation: ms", name, figures);
    }
    report.at_most(
        "validation: times the sum of hashes",
        Figure::ratio(median(&equal), median(&plain)),
        GOAL,
    );
    report.at_most(
        "validation: times as long with 500 differences",
        Figure::ratio(median(&differing), median(&equal)),
        DIFFERENCES_GOAL,
    );
    Ok(())
}

/// Every table once, in bounded memory: of this process, which does all else here too.
pub(crate) async fn memory(stage: &Stage, rows: u64, report: &mut Report) -> anyhow::Result<()> {
    eprintln!("making {rows} payments …");
    // Indexes besides the keys' would take most of the time, and the validation reads none.
    for (server, table) in [(&stage.legacy, "payments_payment"), (&stage.service, "payment")] {
        server
            .execute(format!(
                "DO $$ DECLARE name text; BEGIN
                   FOR name IN SELECT indexrelid::regclass FROM pg_index LEFT JOIN pg_constraint ON conindid = indexrelid
                     WHERE indrelid = '{table}'::regclass AND NOT indisprimary AND conindid IS NULL
                   LOOP EXECUTE 'DROP INDEX ' || name; END LOOP; END $$"
            ))
            .await?;
    }
    stage.add_payments(stage.rows + 1, rows).await?;
    stage.in_step().await?.stop().await?;
    changes::remove(&stage.link, Direction::Forward).await?;
    eprintln!("validating {rows} payments …");
    let taken = validate(stage, &unthrottled(), 0).await?;
    let peak = peak_kib()?;
    report.row("memory: many rows", "rows", &[rows]);
    report.row("memory: many rows", "ms", &[taken]);
    report.at_most("memory: VmHWM, KiB", Figure::whole(peak), MEMORY_GOAL_KIB);
    Ok(())
}

/// Milliseconds of a validation, which must find so many differences.
async fn validate(stage: &Stage, options: &Options, expected: usize) -> anyhow::Result<u64> {
    let began = Instant::now();
    let reports = full(&stage.link, options, &[], &mut |_| {}, &CancellationToken::new()).await?;
    let taken = began.elapsed();
    let found: usize = reports.iter().map(|report| report.differences.len()).sum();
    ensure!(
        found == expected,
        "{found} differences were found, not {expected}"
    );
    Ok(u64::try_from(taken.as_millis())?)
}

/// Milliseconds of the plain query on both sides at once, as a validation reads them.
async fn hashes(stage: &Stage) -> anyhow::Result<u64> {
    let began = Instant::now();
    tokio::try_join!(
        stage
            .legacy
            .number("SELECT sum(hashtext(t::text)) FROM payments_payment t"),
        stage
            .service
            .number("SELECT sum(hashtext(t::text)) FROM payment t"),
    )?;
    Ok(u64::try_from(began.elapsed().as_millis())?)
}

/// 500 of every kind, all over the table: missing, extra, another amount, another status, a microsecond, NULL, another truth.
const PLANT: &str = "
    SET session_replication_role = replica;
    CREATE TABLE planted AS SELECT *, row_number() OVER (ORDER BY md5(id::text)) % 7 AS kind
      FROM payment WHERE status = 'completed' AND description IS NOT NULL ORDER BY md5(id::text) LIMIT 500;
    DELETE FROM payment p USING planted x WHERE x.id = p.id AND kind = 0;
    INSERT INTO payment (id, user_id, customer_id, currency, amount_minor, idempotency_key)
      SELECT id + 1000000000, user_id, customer_id, currency, amount_minor, 'planted-' || id FROM planted WHERE kind = 1;
    UPDATE payment p SET amount_minor = p.amount_minor - 1 FROM planted x WHERE x.id = p.id AND kind = 2;
    UPDATE payment p SET status = 'disputed' FROM planted x WHERE x.id = p.id AND kind = 3;
    UPDATE payment p SET created_at = p.created_at + interval '1 microsecond' FROM planted x WHERE x.id = p.id AND kind = 4;
    UPDATE payment p SET description = NULL FROM planted x WHERE x.id = p.id AND kind = 5;
    UPDATE payment p SET off_session = NOT p.off_session FROM planted x WHERE x.id = p.id AND kind = 6;
    RESET session_replication_role;";
const MEND: &str = "
    SET session_replication_role = replica;
    ALTER TABLE planted DROP COLUMN kind;
    DELETE FROM payment p USING planted x WHERE p.id IN (x.id, x.id + 1000000000);
    INSERT INTO payment SELECT * FROM planted;
    DROP TABLE planted;
    RESET session_replication_role;";

/// The most memory that this process ever had.
fn peak_kib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    number.context("/proc/self/status has no VmHWM")
}
