//! How the service is put together.

use axum::Router;
use banyan_service_kit::{App, Context, NoConfig, Service};
use sqlx::migrate::Migrator;
use utoipa::OpenApi;

/// The payments service.
#[derive(Debug, Clone, Copy)]
pub struct Payments;

#[derive(OpenApi)]
#[openapi(info(
    title = "Banyan payments",
    description = "Charges cards, keeps the ledger and tells the other domains what was paid."
))]
struct Document;

impl Service for Payments {
    const NAME: &'static str = "payments";
    const ABOUT: &'static str = "Charges cards, keeps the ledger and tells the other domains what was paid.";
    const DEFAULT_CONFIG: &'static str = include_str!("../config.default.toml");

    type Config = NoConfig;

    fn migrator() -> Migrator {
        sqlx::migrate!("../../migrations/payments")
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        Document::openapi()
    }

    async fn build(_: Context<NoConfig>) -> anyhow::Result<App> {
        Ok(App::new(Router::new()).relay("/payments"))
    }
}
