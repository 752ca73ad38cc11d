//! The HTTP API: what the command line does, for programs and the console.
//!
//! Operators carry a token (`Authorization: Bearer`) that the configuration knows by its hash. Viewers look; only operators change,
//! and each change is kept with who made it.

mod access;
mod sync;
mod validations;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use banyan_service_kit::Problem;
use banyan_service_kit::problem::CONFLICT;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::OpenApi;

use self::access::Access;
use crate::domains::Domains;
use crate::error::Error;
use crate::validation::Validator;

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) pool: PgPool,
    pub(crate) domains: Domains,
    pub(crate) validator: Validator,
    pub(crate) access: Arc<Access>,
    /// Validations that run longer than their request.
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

pub(crate) use access::Access as Operators;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Banyan cutover",
        description = "Moves domains out of the monolith, and back. Tokens are those of `[operators]` in the configuration."
    ),
    paths(
        sync::list,
        sync::show,
        sync::check,
        sync::start,
        sync::pause,
        sync::resume,
        sync::conflicts,
        sync::resolve,
        validations::begin,
        validations::list,
        validations::show,
        validations::repair
    )
)]
struct Document;

pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/api/sync", get(sync::list))
        .route("/api/sync/{domain}", get(sync::show))
        .route("/api/sync/{domain}/check", post(sync::check))
        .route("/api/sync/{domain}/start", post(sync::start))
        .route("/api/sync/{domain}/pause", post(sync::pause))
        .route("/api/sync/{domain}/resume", post(sync::resume))
        .route("/api/sync/{domain}/conflicts", get(sync::conflicts))
        .route("/api/sync/{domain}/conflicts/resolve", post(sync::resolve))
        .route(
            "/api/validations",
            get(validations::list).post(validations::begin),
        )
        .route("/api/validations/{run}", get(validations::show))
        .route("/api/validations/{run}/repair", post(validations::repair))
        .with_state(api)
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Unknown(what) => Self::not_found(what),
            Error::Refused(why) | Error::Sync(banyan_table_sync::Error::Refused(why)) => {
                Self::new(&CONFLICT).detail(why)
            }
            // Not the text: it may name hosts, and quote values.
            Error::Sync(error) => Self::unavailable(&error),
            Error::Database(error) => Self::database(&error),
            error @ Error::Config(_) => Self::internal(&error),
        }
    }
}
