//! `/healthz`: the process lives. `/readyz`: what it needs answers, and it is not about to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::response::{IntoResponse, Response};
use banyan_messaging::{Broker, BrokerConfig};
use serde::Serialize;
use sqlx::PgPool;
use tokio::sync::Mutex;

/// The longest time for one check.
const PATIENCE: Duration = Duration::from_secs(2);

/// For how long an answer serves: probes that come all at once ask the database once.
const FRESH: Duration = Duration::from_millis(100);

/// What `/readyz` looks at.
pub(crate) struct Health {
    stopping: AtomicBool,
    pool: PgPool,
    broker: Option<BrokerProbe>,
    last: Mutex<Option<(Instant, Report)>>,
}

/// The body of `/readyz`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    status: &'static str,
    checks: Vec<Check>,
}

#[derive(Debug, Clone, Serialize)]
struct Check {
    name: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(rename = "durationMs")]
    duration_ms: u64,
}

impl Report {
    pub(crate) fn ready(&self) -> bool {
        self.status == "ready"
    }
}

impl Health {
    /// `broker` where a role of this process uses it.
    pub(crate) fn new(pool: PgPool, broker: Option<BrokerConfig>) -> Self {
        Self {
            stopping: AtomicBool::new(false),
            pool,
            broker: broker.map(BrokerProbe::new),
            last: Mutex::new(None),
        }
    }

    /// From now on the answer is "stopping".
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) async fn report(&self) -> Report {
        if self.stopping.load(Ordering::Acquire) {
            return Report {
                status: "stopping",
                checks: Vec::new(),
            };
        }
        let mut last = self.last.lock().await;
        if let Some((at, report)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return report.clone();
        }
        let database = check("database", banyan_db::ready(&self.pool));
        let checks = match &self.broker {
            Some(broker) => {
                let (database, broker) = tokio::join!(database, check("broker", broker.ask()));
                vec![database, broker]
            }
            None => vec![database.await],
        };
        let ready = checks.iter().all(|check| check.error.is_none());
        let report = Report {
            status: if ready { "ready" } else { "not ready" },
            checks,
        };
        *last = Some((Instant::now(), report.clone()));
        report
    }
}

async fn check<E: std::fmt::Display>(
    name: &'static str,
    question: impl Future<Output = Result<(), E>>,
) -> Check {
    let started = Instant::now();
    let error = match tokio::time::timeout(PATIENCE, question).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {} ms", PATIENCE.as_millis())),
    };
    Check {
        name,
        status: if error.is_none() { "ok" } else { "failing" },
        error,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// A connection to the broker that is kept for asking, so that a probe costs one round trip.
struct BrokerProbe {
    config: BrokerConfig,
    broker: Mutex<Option<Broker>>,
}

impl BrokerProbe {
    fn new(config: BrokerConfig) -> Self {
        Self {
            config,
            broker: Mutex::new(None),
        }
    }

    async fn ask(&self) -> Result<(), banyan_messaging::BrokerError> {
        let mut kept = self.broker.lock().await;
        // Taken out, so that a question that fails or is given up leaves no connection of unknown state behind.
        let broker = match kept.take() {
            Some(broker) => broker,
            None => Broker::connect(&self.config, "readiness").await?,
        };
        let channel = broker.channel().await?;
        channel.close(200, "asked".into()).await?;
        *kept = Some(broker);
        Ok(())
    }
}

pub(super) async fn healthz(State(_): State<Arc<Health>>) -> Response {
    uncached(StatusCode::OK, &serde_json::json!({ "status": "alive" }))
}

pub(super) async fn readyz(State(health): State<Arc<Health>>) -> Response {
    let report = health.report().await;
    let status = if report.ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    uncached(status, &report)
}

fn uncached(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
