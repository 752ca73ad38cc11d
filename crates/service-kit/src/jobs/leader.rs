//! One leader over all processes, and its jobs' clocks.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use sqlx::{Connection, PgConnection, PgPool};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{Job, JobRun};

/// How often a standby asks for the lead and the leader looks whether it still has it.
const BEAT: Duration = Duration::from_secs(2);

/// The longest time for one such question.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest sleep towards a tick: the wall clock may be set meanwhile, and a sleep would not notice.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// Runs `jobs` by their schedules whenever this process has the lead, until `shutdown`.
pub(crate) async fn run(
    pool: PgPool,
    jobs: Arc<Vec<Job>>,
    clock: fn() -> OffsetDateTime,
    shutdown: CancellationToken,
) -> Result<(), sqlx::Error> {
    let Some(mut lead) = acquire(&pool, &shutdown).await? else {
        return Ok(());
    };
    tracing::info!(jobs = jobs.len(), "this process has the lead for jobs");
    metrics::gauge!("banyan_jobs_leader").set(1);
    let clocks = join_all(jobs.iter().map(|job| tick(job, &pool, clock, &shutdown)));
    // A lost lead drops the clocks, and with them the runs: another process may be leading already.
    let end = tokio::select! {
        _ = clocks => Ok(()),
        error = lost(&mut lead) => Err(error),
    };
    metrics::gauge!("banyan_jobs_leader").set(0);
    lead.close().await.ok();
    end
}

/// Waits for the lead; `None` when the process stops first.
async fn acquire(pool: &PgPool, shutdown: &CancellationToken) -> Result<Option<PgConnection>, sqlx::Error> {
    // Beside the pool: the lead lasts as long as this session, and must not use up one of the pool's connections.
    let mut connection = patient(PgConnection::connect_with(pool.connect_options().as_ref())).await?;
    // The server ends the session of a host that vanished without a word, which TCP alone notices after hours.
    patient(sqlx::query("SET idle_session_timeout = '10s'").execute(&mut connection)).await?;
    loop {
        let asked = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('banyan:jobs', 0))");
        if patient(asked.fetch_one(&mut connection)).await? {
            return Ok(Some(connection));
        }
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            () = shutdown.cancelled() => return Ok(None),
        }
    }
}

/// Returns when the session that holds the lead is gone.
async fn lost(lead: &mut PgConnection) -> sqlx::Error {
    loop {
        tokio::time::sleep(BEAT).await;
        if let Err(error) = patient(lead.ping()).await {
            return error;
        }
    }
}

async fn patient<T>(question: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(PATIENCE, question).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// One job's clock: waits for the next tick, runs, and only then looks for the one after.
async fn tick(job: &Job, pool: &PgPool, clock: fn() -> OffsetDateTime, shutdown: &CancellationToken) {
    while let Some(next) = job.next_after(clock()) {
        while let Ok(wait) = Duration::try_from(next - clock()) {
            tokio::select! {
                () = tokio::time::sleep(wait.min(MAX_SLEEP)) => {}
                () = shutdown.cancelled() => return,
            }
        }
        if shutdown.is_cancelled() {
            return;
        }
        // Logged and counted inside; the next tick comes in any case.
        let _ = job
            .run_once(
                pool,
                JobRun {
                    scheduled_at: next,
                    shutdown: shutdown.clone(),
                },
            )
            .await;
    }
    // Never again by its schedule: the others go on.
    shutdown.cancelled().await;
}
