//! Health, readiness and metrics, with databases and brokers that come and go.

use std::time::{Duration, Instant};

use axum::Router;
use banyan_service_kit::{App, Context, NoConfig, Role, Running, Service, start};
use banyan_test_support::{TcpProxy, TestDb, TestVhost, client};
use serde_json::Value;
use sqlx::migrate::Migrator;
use utoipa::OpenApi;

use crate::fixture::{config, config_of, readyz, wait_readyz};

/// A service whose consumer does nothing but be there, so that the broker counts.
struct Listening;

#[derive(OpenApi)]
#[openapi()]
struct Document;

impl Service for Listening {
    const NAME: &'static str = "listening";
    const ABOUT: &'static str = "Listens.";
    const DEFAULT_CONFIG: &'static str = "";

    type Config = NoConfig;

    fn migrator() -> Migrator {
        Migrator::DEFAULT
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        Document::openapi()
    }

    async fn build(_: Context<NoConfig>) -> anyhow::Result<App> {
        Ok(
            App::new(Router::new()).consumer(async |shutdown: tokio_util::sync::CancellationToken| {
                shutdown.cancelled_owned().await;
                Ok::<(), std::io::Error>(())
            }),
        )
    }
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["name"] == name)
        .unwrap()
}

async fn alive(service: &Running) -> u16 {
    client()
        .get(format!("{}/healthz", service.url()))
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

#[tokio::test]
async fn it_serves_while_database_and_broker_are_away() {
    let started = Instant::now();
    let service = start::<Listening>(&config_of::<Listening>(&[]), &Role::ALL)
        .await
        .unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "started after {:?}",
        started.elapsed()
    );
    assert_eq!(alive(&service).await, 200);
    let (status, report) = readyz(&service).await;
    assert_eq!(status, 503, "{report}");
    assert_eq!(report["status"], "not ready");
    for name in ["database", "broker"] {
        assert_eq!(check(&report, name)["status"], "failing", "{report}");
    }
    assert!(!report.to_string().contains("s3cret"), "{report}");
}

#[tokio::test]
async fn readiness_follows_database_and_broker() {
    let (database, vhost) = tokio::join!(TestDb::create(None), TestVhost::create());
    let (to_database, to_broker) = tokio::join!(
        TcpProxy::before(&database.url, 5432),
        TcpProxy::start(vhost.address())
    );
    let (database_url, broker_url) = (to_database.url(&database.url), to_broker.url(&vhost.amqp_url));
    let keys = [
        ("database.url", database_url.as_str()),
        ("broker.url", &broker_url),
    ];
    let service = start::<Listening>(&config_of::<Listening>(&keys), &Role::ALL)
        .await
        .unwrap();
    let report = wait_readyz(&service, 200).await;
    assert_eq!(report["status"], "ready");

    to_database.cut();
    let report = wait_readyz(&service, 503).await;
    assert_eq!(check(&report, "database")["status"], "failing", "{report}");
    assert_eq!(check(&report, "broker")["status"], "ok", "{report}");
    assert_eq!(alive(&service).await, 200);
    to_database.heal();
    wait_readyz(&service, 200).await;

    to_broker.cut();
    let report = wait_readyz(&service, 503).await;
    assert_eq!(check(&report, "broker")["status"], "failing", "{report}");
    assert_eq!(check(&report, "database")["status"], "ok", "{report}");
    to_broker.heal();
    wait_readyz(&service, 200).await;

    to_broker.go_silent();
    let started = Instant::now();
    let report = wait_readyz(&service, 503).await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "a silent broker held the answer up: {:?}",
        started.elapsed()
    );
    assert_eq!(
        check(&report, "broker")["error"],
        "no answer within 2000 ms",
        "{report}"
    );
    to_broker.heal();
    wait_readyz(&service, 200).await;
}

#[tokio::test]
async fn a_process_that_does_not_use_the_broker_does_not_wait_for_it() {
    let database = TestDb::create(None).await;
    let loaded = config_of::<Listening>(&[("database.url", &database.url)]);
    let service = start::<Listening>(&loaded, &[Role::Http]).await.unwrap();
    let report = wait_readyz(&service, 200).await;
    assert_eq!(report["checks"].as_array().unwrap().len(), 1, "{report}");
}

#[tokio::test]
async fn metrics_count_requests_by_route() {
    let service = start::<crate::fixture::Fixture>(&config(&[]), &[Role::Http])
        .await
        .unwrap();
    for path in ["/items/1", "/items/2", "/no/such/thing"] {
        client()
            .get(format!("{}{path}", service.url()))
            .send()
            .await
            .unwrap();
    }
    let answer = client()
        .get(format!("{}/metrics", service.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = answer.text().await.unwrap();
    for wanted in [
        "http_server_requests_total{method=\"GET\",route=\"/items/{id}\",status=\"200\"}",
        "route=\"unmatched\",status=\"404\"",
        "http_server_request_duration_seconds_bucket{",
        "process_resident_memory_bytes ",
        "banyan_build_info{",
    ] {
        assert!(text.contains(wanted), "no {wanted} in:\n{text}");
    }
    assert!(
        !text.contains("/items/1"),
        "a path with an id must not become a label:\n{text}"
    );
}
