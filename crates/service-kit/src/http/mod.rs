//! The HTTP server: limits and problem documents around the public API, health and metrics beside it.

mod health;
mod layers;
mod metrics;
mod server;
mod unread;

pub(crate) use health::Health;
pub(crate) use layers::public;
pub(crate) use metrics::{install, refresh};
pub(crate) use server::Server;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

/// `/healthz`, `/readyz` and `/metrics`.
pub(crate) fn probes(health: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .with_state(health)
        .route("/metrics", get(metrics::render))
}
