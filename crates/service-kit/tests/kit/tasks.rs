//! Roles and supervised tasks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use banyan_service_kit::{App, Context, NoConfig, Role, Service, start};
use banyan_test_support::{client, wait_until};
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

use crate::fixture::config_of;

macro_rules! service {
    ($type:ident, $name:literal, $build:expr) => {
        struct $type;

        impl Service for $type {
            const NAME: &'static str = $name;
            const ABOUT: &'static str = "A service of a test.";
            const DEFAULT_CONFIG: &'static str = "";

            type Config = NoConfig;

            fn migrator() -> Migrator {
                Migrator::DEFAULT
            }

            fn openapi() -> utoipa::openapi::OpenApi {
                utoipa::openapi::OpenApiBuilder::new().build()
            }

            async fn build(_: Context<NoConfig>) -> anyhow::Result<App> {
                Ok($build)
            }
        }
    };
}

static STUMBLES: AtomicUsize = AtomicUsize::new(0);

/// Fails, then panics, then ends without a reason, and stands from the fourth start on.
async fn stumble(shutdown: CancellationToken) -> Result<(), std::io::Error> {
    match STUMBLES.fetch_add(1, Ordering::SeqCst) {
        0 => Err(std::io::Error::other("no luck")),
        1 => panic!("worse luck"),
        2 => Ok(()),
        _ => {
            shutdown.cancelled().await;
            Ok(())
        }
    }
}

service!(
    Stumbling,
    "stumbling",
    App::new(Router::new().route("/ok", get(async || "fine"))).consumer(stumble)
);

#[tokio::test]
async fn a_task_that_fails_is_started_again_and_takes_nothing_with_it() {
    let service = start::<Stumbling>(&config_of::<Stumbling>(&[]), &Role::ALL)
        .await
        .unwrap();
    let url = format!("{}/ok", service.url());
    let starts = wait_until(
        "the fourth start",
        Duration::from_secs(20),
        async || {
            assert_eq!(
                client().get(&url).send().await.unwrap().status(),
                200,
                "the API is up all the time"
            );
            STUMBLES.load(Ordering::SeqCst)
        },
        |starts| *starts >= 4,
    )
    .await;
    assert_eq!(starts, 4);
    let metrics = client()
        .get(format!("{}/metrics", service.url()))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        metrics.contains("banyan_task_restarts_total{task=\"consumer\"} 3"),
        "{metrics}"
    );
    service.stop();
    assert!(service.finished().await);
}

static RUNS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

fn run(
    which: usize,
) -> impl Fn(CancellationToken) -> futures::future::BoxFuture<'static, Result<(), std::io::Error>> {
    move |shutdown| {
        Box::pin(async move {
            RUNS[which].fetch_add(1, Ordering::SeqCst);
            shutdown.cancelled().await;
            Ok(())
        })
    }
}

service!(
    Parted,
    "parted",
    App::new(Router::new().route("/ok", get(async || "fine")))
        .consumer(run(0))
        .task(Role::Relay, "relay of another database", run(1))
);

#[tokio::test]
async fn a_role_runs_alone() {
    for (role, status, runs) in [
        (Role::Http, 200, [0, 0]),
        (Role::Consumer, 404, [1, 0]),
        (Role::Relay, 404, [0, 1]),
    ] {
        for count in &RUNS {
            count.store(0, Ordering::SeqCst);
        }
        let service = start::<Parted>(&config_of::<Parted>(&[]), &[role]).await.unwrap();
        let answer = client()
            .get(format!("{}/ok", service.url()))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{role:?}");
        let alive = client()
            .get(format!("{}/healthz", service.url()))
            .send()
            .await
            .unwrap();
        assert_eq!(alive.status(), 200, "{role:?}");
        let seen = || RUNS.each_ref().map(|count| count.load(Ordering::SeqCst));
        wait_until(
            "the role's task",
            Duration::from_secs(5),
            async || seen(),
            |seen| *seen == runs,
        )
        .await;
        service.stop();
        assert!(service.finished().await);
        assert_eq!(seen(), runs, "{role:?} started something else");
    }
}
