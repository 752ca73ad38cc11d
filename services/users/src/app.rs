//! How the service is put together.

use axum::Router;
use banyan_service_kit::{App, Context, NoConfig, Service};
use sqlx::migrate::Migrator;
use utoipa::OpenApi;

/// The users service.
#[derive(Debug, Clone, Copy)]
pub struct Users;

#[derive(OpenApi)]
#[openapi(info(
    title = "Banyan users",
    description = "Knows who the users are: sign-up, login, sessions, profile and consent."
))]
struct Document;

impl Service for Users {
    const NAME: &'static str = "users";
    const ABOUT: &'static str = "Knows who the users are: sign-up, login, sessions, profile and consent.";
    const DEFAULT_CONFIG: &'static str = include_str!("../config.default.toml");

    type Config = NoConfig;

    fn migrator() -> Migrator {
        sqlx::migrate!("../../migrations/users")
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        Document::openapi()
    }

    async fn build(_: Context<NoConfig>) -> anyhow::Result<App> {
        Ok(App::new(Router::new()).relay("/users"))
    }
}
