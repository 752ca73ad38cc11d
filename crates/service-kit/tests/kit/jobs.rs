//! Scheduled jobs over several processes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use banyan_service_kit::jobs::{JobError, Outcome};
use banyan_service_kit::{App, Context, Job, JobRun, NoConfig, Role, Service, start};
use banyan_test_support::{TestDb, wait_for, wait_until};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use time::macros::datetime;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::fixture::config_of;

fn now() -> JobRun {
    JobRun::at(datetime!(2026-01-01 03:00 UTC))
}

#[tokio::test]
async fn two_runs_of_one_job_never_overlap() {
    let database = TestDb::create(None).await;
    let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (has_begun, may_go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
    let job = Job::new("slow", "0 3 * * *", move |_| {
        let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
        async move {
            begun.add_permits(1);
            go_on.acquire().await?.forget();
            Ok(())
        }
    })
    .unwrap();
    let first = tokio::spawn({
        let (job, pool) = (job.clone(), database.pool.clone());
        async move { job.run_once(&pool, now()).await.unwrap() }
    });
    has_begun.acquire().await.unwrap().forget();
    assert_eq!(job.run_once(&database.pool, now()).await.unwrap(), Outcome::Busy);
    let other = Job::new("other", "0 3 * * *", async |_| Ok(())).unwrap();
    assert_eq!(
        other.run_once(&database.pool, now()).await.unwrap(),
        Outcome::Done,
        "other jobs are not held up"
    );
    may_go_on.add_permits(2);
    assert_eq!(first.await.unwrap(), Outcome::Done);
    assert_eq!(
        job.run_once(&database.pool, now()).await.unwrap(),
        Outcome::Done,
        "the lock is free again"
    );
}

#[tokio::test]
async fn a_run_that_fails_panics_or_is_dropped_frees_its_lock() {
    let database = TestDb::create(None).await;
    let failing = Job::new("job", "0 3 * * *", async |_| anyhow::bail!("no luck")).unwrap();
    let error = failing.run_once(&database.pool, now()).await.unwrap_err();
    assert_eq!(error.to_string(), "no luck");
    let panicking = Job::new("job", "0 3 * * *", async |_| panic!("worse luck")).unwrap();
    assert!(matches!(
        panicking.run_once(&database.pool, now()).await,
        Err(JobError::Panicked)
    ));
    let hanging = Job::new("job", "0 3 * * *", async |_| std::future::pending().await).unwrap();
    let dropped = tokio::time::timeout(
        Duration::from_millis(300),
        hanging.run_once(&database.pool, now()),
    )
    .await;
    assert!(dropped.is_err());
    let fine = Job::new("job", "0 3 * * *", async |_| Ok(())).unwrap();
    wait_for(
        "the lock of the dropped run",
        Duration::from_secs(5),
        async || match fine.run_once(&database.pool, now()).await.unwrap() {
            Outcome::Done => Ok(()),
            Outcome::Busy => Err("busy"),
        },
    )
    .await;
}

#[test]
fn a_bad_schedule_names_the_job() {
    let error = Job::new("digest", "every day", async |_| Ok(()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`digest`") && error.contains("`every day`"),
        "{error}"
    );
}

/// A service with a job every second that notes the tick and who ran it.
struct Ticking;

impl Service for Ticking {
    const NAME: &'static str = "ticking";
    const ABOUT: &'static str = "Ticks.";
    const DEFAULT_CONFIG: &'static str = "";

    type Config = NoConfig;

    fn migrator() -> Migrator {
        Migrator::DEFAULT
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        utoipa::openapi::OpenApiBuilder::new().build()
    }

    async fn build(ctx: Context<NoConfig>) -> anyhow::Result<App> {
        let (pool, process) = (ctx.pool, Uuid::new_v4());
        let job = Job::new("tick", "* * * * * *", move |run: JobRun| {
            let pool = pool.clone();
            async move {
                sqlx::query("INSERT INTO ticks (scheduled_at, process) VALUES ($1, $2)")
                    .bind(run.scheduled_at)
                    .bind(process)
                    .execute(&pool)
                    .await?;
                Ok(())
            }
        })?;
        Ok(App::new(Router::new()).job(job))
    }
}

async fn ticks(pool: &PgPool) -> Vec<Uuid> {
    sqlx::query_scalar("SELECT process FROM ticks ORDER BY scheduled_at")
        .fetch_all(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn one_process_leads_and_another_takes_over() {
    let database = TestDb::create(None).await;
    // Two runs of one tick would break the key.
    sqlx::raw_sql("CREATE TABLE ticks (scheduled_at timestamptz PRIMARY KEY, process uuid NOT NULL)")
        .execute(&database.pool)
        .await
        .unwrap();
    let config = config_of::<Ticking>(&[("database.url", &database.url)]);
    let first = start::<Ticking>(&config, &[Role::Jobs]).await.unwrap();
    let bound = Duration::from_secs(20);
    let seen = wait_until(
        "the first tick",
        bound,
        async || ticks(&database.pool).await,
        |ticks| !ticks.is_empty(),
    )
    .await;
    let leader = seen[0];
    let second = start::<Ticking>(&config, &[Role::Jobs]).await.unwrap();
    let seen = wait_until(
        "three more",
        bound,
        async || ticks(&database.pool).await,
        |all| all.len() >= seen.len() + 3,
    )
    .await;
    assert!(
        seen.iter().all(|process| *process == leader),
        "only the leader runs jobs: {seen:?}"
    );

    first.stop();
    assert!(first.finished().await);
    let seen = wait_until(
        "a tick of the other process",
        bound,
        async || ticks(&database.pool).await,
        |ticks| ticks.last().is_some_and(|last| *last != leader),
    )
    .await;
    let follower = *seen.last().unwrap();

    assert!(
        database.kill_sessions().await > 0,
        "the leader loses its session, and with it the lead"
    );
    let before = ticks(&database.pool).await.len();
    let seen = wait_until(
        "ticks after that",
        bound,
        async || ticks(&database.pool).await,
        |ticks| ticks.len() > before,
    )
    .await;
    assert_eq!(*seen.last().unwrap(), follower);
    second.stop();
    assert!(second.finished().await);
}
