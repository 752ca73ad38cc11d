//! What others notice on the legacy side: the latencies of a constant load, with nothing else and while all that the sync does runs with
//! its default limits.

use std::time::Duration;

use banyan_table_sync::validate::{Options, full};
use banyan_table_sync::{Direction, Error, Link, changes, snapshot};
use tokio_util::sync::CancellationToken;

use crate::limits::Limits;
use crate::pgbench::Load;
use crate::report::{Figure, Report, median, percentile};
use crate::running::Running;
use crate::stage::{PATIENCE, Stage};

/// p99 times that without a sync.
const GOAL: Figure = Figure::thousandths(1_200);
/// Transactions per second.
const RATE: u64 = 200;
const WARM_UP: Duration = Duration::from_secs(3);
// Short, and many of them: the disk of a virtual machine stalls now and then, and the median leaves the windows out in which it did.
const WINDOW: Duration = Duration::from_secs(12);

/// What runs beside the load.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Beside {
    Nothing,
    /// Changes.
    Following,
    /// And one full validation after another.
    Validating,
    /// And one copy after another, of the same table to another one.
    Copying,
}

const KINDS: [(Beside, &str); 4] = [
    (Beside::Nothing, "by itself"),
    (Beside::Following, "changes"),
    (Beside::Validating, "changes and validation"),
    (Beside::Copying, "changes, validation and a copy"),
];

pub(crate) async fn measure(
    stage: &Stage,
    limits: &Limits,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    stage.empty().await?;
    stage.in_step().await?.stop().await?;
    let copy = stage.second_link().await?;
    let mut medians = KINDS.map(|_| Vec::new());
    let mut worst = KINDS.map(|_| Vec::new());
    for round in 1..=rounds {
        for (place, (beside, name)) in KINDS.into_iter().enumerate() {
            eprintln!("a constant load {name}, round {round} of {rounds} …");
            stage.rest().await?;
            let beside = start(stage, limits, &copy, beside).await?;
            let latencies = Load::of_a_shop(RATE, WARM_UP, WINDOW).run(stage).await?;
            for running in beside {
                running.stop().await?;
            }
            medians[place].push(percentile(&latencies, 50));
            worst[place].push(percentile(&latencies, 99));
        }
    }
    for (place, (_, name)) in KINDS.into_iter().enumerate() {
        report.row("legacy: µs, p50", name, &medians[place]);
    }
    for (place, (_, name)) in KINDS.into_iter().enumerate() {
        report.row("legacy: µs, p99", name, &worst[place]);
    }
    let [nothing, grown @ ..] = worst.map(|figures| median(&figures));
    let names = [
        "legacy: times its p99, changes",
        "legacy: times its p99, changes and validation",
        "legacy: times its p99, changes, validation and a copy",
    ];
    for (name, grown) in names.into_iter().zip(grown) {
        report.at_most(name, Figure::ratio(grown, nothing), GOAL);
    }
    Ok(())
}

async fn start(stage: &Stage, limits: &Limits, copy: &Link, beside: Beside) -> anyhow::Result<Vec<Running>> {
    let mut running = Vec::new();
    if beside == Beside::Nothing {
        return Ok(running);
    }
    running.push(Running::start(&stage.link, limits.copy()));
    stage.settled(&stage.link).await?;
    if beside == Beside::Following {
        return Ok(running);
    }
    let (link, options) = (stage.link.clone(), limits.validation());
    running.push(Running::with(async move |shutdown| {
        validate(&link, &options, &shutdown).await
    }));
    if beside == Beside::Copying {
        let (link, limits) = (copy.clone(), limits.copy());
        let pool = stage.service.pool.connect_options();
        running.push(Running::with(async move |shutdown| {
            let pool = sqlx::PgPool::connect_with((*pool).clone()).await?;
            copy_again_and_again(&link, limits, &pool, &shutdown).await
        }));
    }
    Ok(running)
}

async fn validate(link: &Link, options: &Options, shutdown: &CancellationToken) -> anyhow::Result<()> {
    while !shutdown.is_cancelled() {
        match full(link, options, &[], &mut |_| {}, shutdown).await {
            Ok(reports) => anyhow::ensure!(
                reports.iter().all(|report| report.differences.is_empty()),
                "differences: {reports:?}"
            ),
            Err(Error::Stopped) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn copy_again_and_again(
    link: &Link,
    limits: snapshot::Limits,
    service: &sqlx::PgPool,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    while !shutdown.is_cancelled() {
        changes::remove(link, Direction::Forward).await?;
        sqlx::raw_sql("TRUNCATE payment_copy").execute(service).await?;
        let done = shutdown.child_token();
        let copied = async {
            // Until it is there, there is nothing to wait for.
            let begun = "SELECT count(*) FROM table_sync.stream WHERE name = $1";
            let stream = link.stream(Direction::Forward);
            while sqlx::query_scalar::<_, i64>(begun)
                .bind(&stream)
                .fetch_one(service)
                .await?
                == 0
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let settled = changes::settle(link, Direction::Forward, PATIENCE);
            tokio::select! {
                settled = settled => settled?,
                () = shutdown.cancelled() => {}
            }
            done.cancel();
            anyhow::Ok(())
        };
        let sync = async {
            changes::run(link, changes::Ways::Forward, limits, &done).await?;
            anyhow::Ok(())
        };
        tokio::try_join!(copied, sync)?;
    }
    changes::remove(link, Direction::Forward).await?;
    Ok(())
}
