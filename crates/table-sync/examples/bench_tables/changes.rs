//! Changes on their way: how many a second, and how long each takes from its commit to where it can be read on the new side.

use std::time::{Duration, Instant};

use banyan_table_sync::{Direction, changes};

use crate::pgbench::Load;
use crate::probes::Probes;
use crate::report::{Figure, Report, median, per_second, percentile};
use crate::stage::{PATIENCE, Server, Stage};

/// Changed rows per second that are to be sustained.
const GOAL: u64 = 5_000;
/// Milliseconds from commit to visible, p99, at half of that.
const LAG_GOAL: u64 = 500;
const RATES: [u64; 7] = [5_500, 7_500, 10_000, 12_500, 15_000, 17_500, 20_000];
const WINDOW: Duration = Duration::from_secs(15);
/// What is sustained leaves no more than this to do when the writer ends.
const REST: Duration = Duration::from_secs(1);

pub(crate) async fn measure(stage: &Stage, rounds: usize, report: &mut Report) -> anyhow::Result<()> {
    stage.empty().await?;
    let running = stage.in_step().await?;
    let (mut medians, mut worst) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        eprintln!("lag at {} rows/s, round {round} of {rounds} …", GOAL / 2);
        stage.rest().await?;
        let load = Load::many_rows(GOAL / 2, Duration::ZERO, WINDOW);
        let probes = Probes::start(stage).await?;
        load.run(stage).await?;
        let lags = probes.lags().await?;
        medians.push(percentile(&lags, 50));
        worst.push(percentile(&lags, 99));
    }
    let mut most = Vec::new();
    for round in 1..=rounds {
        let mut sustained = 0;
        for rate in RATES {
            eprintln!("{rate} rows/s, round {round} of {rounds} …");
            stage.rest().await?;
            let Some(carried) = sustains(stage, rate).await? else {
                break;
            };
            sustained = carried;
        }
        most.push(sustained);
    }
    running.stop().await?;
    report.row("changes: ms from commit to visible", "p50", &medians);
    report.row("changes: ms from commit to visible", "p99", &worst);
    report.row("changes: rows/s", "the most that is sustained", &most);
    let lag = Figure::whole(median(&worst));
    report.at_most(
        "changes: lag p99, ms, at half the rate",
        lag,
        Figure::whole(LAG_GOAL),
    );
    let sustained = Figure::whole(median(&most));
    report.at_least("changes: rows/s sustained", sustained, Figure::whole(GOAL));
    Ok(())
}

/// Rows per second, if the sync keeps up with as many as were asked for.
async fn sustains(stage: &Stage, rate: u64) -> anyhow::Result<Option<u64>> {
    let before = changed(&stage.legacy).await?;
    let began = Instant::now();
    Load::many_rows(rate, Duration::ZERO, WINDOW).run(stage).await?;
    let wrote = began.elapsed();
    changes::settle(&stage.link, Direction::Forward, PATIENCE).await?;
    let rest = began.elapsed().saturating_sub(wrote);
    let rows = changed(&stage.legacy).await? - before;
    let (written, carried) = (per_second(rows, wrote), per_second(rows, began.elapsed()));
    eprintln!(
        "  {written} written, {carried} carried, {} ms left at the end",
        rest.as_millis()
    );
    Ok((written >= rate * 9 / 10 && rest <= REST).then_some(carried))
}

/// Inserts, updates and deletes of payments so far. Sessions tell when they end.
async fn changed(server: &Server) -> anyhow::Result<u64> {
    let sql = "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = 'payments_payment'";
    Ok(u64::try_from(server.number(sql).await?)?)
}
