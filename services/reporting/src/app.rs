//! How the service is put together.

use axum::Router;
use banyan_service_kit::{App, Context, NoConfig, Service};
use sqlx::migrate::Migrator;
use utoipa::OpenApi;

/// The reporting service.
#[derive(Debug, Clone, Copy)]
pub struct Reporting;

#[derive(OpenApi)]
#[openapi(info(
    title = "Banyan reporting",
    description = "Reports revenue and users, and builds exports."
))]
struct Document;

impl Service for Reporting {
    const NAME: &'static str = "reporting";
    const ABOUT: &'static str = "Reports revenue and users, and builds exports.";
    const DEFAULT_CONFIG: &'static str = include_str!("../config.default.toml");

    type Config = NoConfig;

    fn migrator() -> Migrator {
        sqlx::migrate!("../../migrations/reporting")
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        Document::openapi()
    }

    async fn build(_: Context<NoConfig>) -> anyhow::Result<App> {
        Ok(App::new(Router::new()).relay("/reporting"))
    }
}
