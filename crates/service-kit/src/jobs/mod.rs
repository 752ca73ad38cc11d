//! Scheduled jobs: cron expressions in UTC, one run at a time over all processes of a service.
//!
//! Of all processes that run the role `jobs` one is the leader, by a session advisory lock in the service's own
//! database, and only the leader starts jobs; when it dies another takes over within seconds. A run holds a lock of
//! its own as well, so that a leader that lost its database and does not know yet cannot overlap with the next one. A
//! tick that falls into a run or into a time without a leader is left out, not made up for.

mod leader;
mod schedule;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub(crate) use leader::run;
use schedule::Schedule;

/// What a job knows about its run.
#[derive(Debug, Clone)]
pub struct JobRun {
    /// The tick of the schedule that this run belongs to.
    pub scheduled_at: OffsetDateTime,
    /// Cancelled when the process stops: a long job looks at it between its steps and ends early.
    pub shutdown: CancellationToken,
}

impl JobRun {
    /// A run by hand, such as in a test.
    pub fn at(scheduled_at: OffsetDateTime) -> Self {
        Self {
            scheduled_at,
            shutdown: CancellationToken::new(),
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The job did its work.
    Done,
    /// Another run of the same job is still going on somewhere; nothing was done.
    Busy,
}

/// A schedule that does not parse.
#[derive(Debug, thiserror::Error)]
#[error("the schedule `{expression}` of the job `{job}` is not a cron expression: {message}")]
pub struct ScheduleError {
    job: &'static str,
    expression: String,
    message: String,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The lock could not be asked for.
    #[error("the database does not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// The job's own error.
    #[error("{0:#}")]
    Failed(anyhow::Error),
    /// The job panicked.
    #[error("the job panicked")]
    Panicked,
}

type Work = dyn Fn(JobRun) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send + Sync;

/// A scheduled job.
#[derive(Clone)]
pub struct Job {
    name: &'static str,
    schedule: Schedule,
    work: Arc<Work>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.name)
            .field("schedule", &self.schedule)
            .finish_non_exhaustive()
    }
}

impl Job {
    /// A job by this name; `cron` has five fields, or six with seconds first, and is read in UTC.
    pub fn new<F, Fut>(name: &'static str, cron: &str, work: F) -> Result<Self, ScheduleError>
    where
        F: Fn(JobRun) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let schedule = Schedule::parse(cron).map_err(|message| ScheduleError {
            job: name,
            expression: cron.to_owned(),
            message,
        })?;
        Ok(Self {
            name,
            schedule,
            work: Arc::new(move |run| Box::pin(work(run))),
        })
    }

    /// The job's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The first tick after `time`.
    pub fn next_after(&self, time: OffsetDateTime) -> Option<OffsetDateTime> {
        self.schedule.next_after(time)
    }

    /// Runs the job now unless a run of it is going on, in this process or in another one on the same database.
    pub async fn run_once(&self, pool: &PgPool, run: JobRun) -> Result<Outcome, JobError> {
        let span = tracing::info_span!(
            "job",
            otel.name = format!("job {}", self.name),
            job.name = self.name,
            otel.status_code = tracing::field::Empty
        );
        async {
            let started = Instant::now();
            let outcome = self.locked(pool, run).await;
            self.observe(&outcome, started);
            outcome
        }
        .instrument(span)
        .await
    }

    async fn locked(&self, pool: &PgPool, run: JobRun) -> Result<Outcome, JobError> {
        let mut lock = pool.acquire().await?;
        // Closed rather than given back, also when this future is dropped: the end of the session frees the lock.
        lock.close_on_drop();
        let free: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('banyan:job:' || $1, 0))")
                .bind(self.name)
                .fetch_one(&mut *lock)
                .await?;
        if !free {
            return Ok(Outcome::Busy);
        }
        let worked = std::panic::AssertUnwindSafe((self.work)(run))
            .catch_unwind()
            .await;
        lock.close().await.ok();
        match worked {
            Ok(Ok(())) => Ok(Outcome::Done),
            Ok(Err(error)) => Err(JobError::Failed(error)),
            Err(_) => Err(JobError::Panicked),
        }
    }

    fn observe(&self, outcome: &Result<Outcome, JobError>, started: Instant) {
        let label = match outcome {
            Ok(Outcome::Done) => "done",
            Ok(Outcome::Busy) => "busy",
            Err(_) => "failed",
        };
        metrics::counter!("banyan_job_runs_total", "job" => self.name, "outcome" => label).increment(1);
        match outcome {
            Ok(Outcome::Done) => {
                metrics::histogram!("banyan_job_duration_seconds", "job" => self.name)
                    .record(started.elapsed());
                tracing::debug!(job = self.name, "job done");
            }
            Ok(Outcome::Busy) => {
                tracing::info!(job = self.name, "job left out: it is still running elsewhere");
            }
            Err(error) => {
                tracing::Span::current().record("otel.status_code", "ERROR");
                tracing::error!(job = self.name, %error, "job failed");
            }
        }
    }
}
