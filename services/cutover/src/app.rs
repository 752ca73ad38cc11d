//! How the service is put together.

use std::process::ExitCode;

use axum::Router;
use banyan_messaging::Relay;
use banyan_service_kit::{App, Context, Role, Service};
use sqlx::migrate::Migrator;
use utoipa::OpenApi;

use crate::{config::Config, dead};

/// The migration control plane.
#[derive(Debug, Clone, Copy)]
pub struct Cutover;

#[derive(OpenApi)]
#[openapi(info(
    title = "Banyan cutover",
    description = "Moves domains out of the monolith, and back."
))]
struct Document;

impl Service for Cutover {
    const NAME: &'static str = "cutover";
    const ABOUT: &'static str =
        "Moves domains out of the monolith: relays its events, looks after dead ones.";
    const DEFAULT_CONFIG: &'static str = include_str!("../config.default.toml");
    const SECRETS: &'static [&'static str] = &["legacy.database.url"];

    type Config = Config;

    fn migrator() -> Migrator {
        sqlx::migrate!("../../migrations/cutover")
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        Document::openapi()
    }

    async fn build(ctx: Context<Config>) -> anyhow::Result<App> {
        let Context { kit, config, .. } = ctx;
        let legacy = banyan_db::connect(&config.legacy.database, Self::NAME).await?;
        let relay = move |shutdown| {
            let source = &config.legacy.source;
            Relay::new(legacy.clone(), kit.broker.clone(), source, kit.relay.clone()).run(shutdown)
        };
        Ok(App::new(Router::new()).task(Role::Relay, "legacy relay", relay))
    }

    fn verbs() -> Vec<clap::Command> {
        vec![dead::command()]
    }

    async fn run_verb(ctx: Context<Config>, _: String, args: clap::ArgMatches) -> anyhow::Result<ExitCode> {
        dead::run(&ctx.kit.broker, &args).await
    }
}
