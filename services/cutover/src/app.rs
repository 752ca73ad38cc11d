//! How the service is put together.

use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use banyan_messaging::Relay;
use banyan_service_kit::{App, Context, Role, Service, TaskError};
use banyan_table_sync::snapshot::Limits;
use sqlx::migrate::Migrator;

use crate::api::{self, Api, Operators};
use crate::config::{self, Config};
use crate::domains::Domains;
use crate::sync::runner::Runner;
use crate::validation::{Validator, schedule};
use crate::{dead, sync, validation};

/// The migration control plane.
#[derive(Debug, Clone, Copy)]
pub struct Cutover;

impl Service for Cutover {
    const NAME: &'static str = "cutover";
    const ABOUT: &'static str = "Moves domains out of the monolith: keeps their data in step, compares them, relays events, looks after dead ones.";
    const DEFAULT_CONFIG: &'static str = include_str!("../config.default.toml");
    const SECRETS: &'static [&'static str] = config::SECRETS;

    type Config = Config;

    fn migrator() -> Migrator {
        sqlx::migrate!("../../migrations/cutover")
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        api::openapi()
    }

    async fn build(ctx: Context<Config>) -> anyhow::Result<App> {
        let domains = Domains::new(&ctx.config)?;
        let validator = validator(&ctx);
        let Context {
            kit,
            config,
            pool,
            shutdown,
            tasks,
        } = ctx;
        let jobs = schedule::jobs(&config, &domains, &validator)?;
        let runners = runners(&config, &domains, &pool)?;
        let router = if config.operators.is_empty() {
            // Nobody could ask.
            Router::new()
        } else {
            api::router(Api {
                access: Arc::new(Operators::new(&config.operators)?),
                pool,
                domains,
                validator,
                tasks,
                shutdown,
            })
        };
        let legacy = banyan_db::connect(&config.legacy.database, Self::NAME).await?;
        let relay = move |shutdown| {
            let source = &config.legacy.source;
            Relay::new(legacy.clone(), kit.broker.clone(), source, kit.relay.clone()).run(shutdown)
        };
        let app = App::new(router)
            .relay("/cutover")
            .task(Role::Relay, "legacy relay", relay);
        let app = jobs.into_iter().fold(app, App::job);
        Ok(runners.into_iter().fold(app, |app, runner| {
            let name = format!("sync of {}", runner.link.mapping.domain);
            app.task(Role::Sync, name, move |shutdown| {
                let runner = runner.clone();
                async move {
                    runner.run(shutdown).await;
                    Ok::<(), TaskError>(())
                }
            })
        }))
    }

    fn verbs() -> Vec<clap::Command> {
        vec![
            sync::command(),
            validation::validate_command(),
            validation::repair_command(),
            dead::command(),
        ]
    }

    async fn run_verb(
        ctx: Context<Config>,
        verb: String,
        args: clap::ArgMatches,
    ) -> anyhow::Result<ExitCode> {
        if verb == "dead" {
            return dead::run(&ctx.kit.broker, &args).await;
        }
        let domains = Domains::new(&ctx.config)?;
        match verb.as_str() {
            "sync" => sync::run(&ctx.pool, &domains, &args).await,
            "validate" => validation::run_validate(&validator(&ctx), &domains, &args).await,
            _ => validation::run_repair(&validator(&ctx), &domains, &args).await,
        }
    }
}

fn validator(ctx: &Context<Config>) -> Validator {
    Validator {
        pool: ctx.pool.clone(),
        config: ctx.config.validation.clone(),
    }
}

/// One for each domain that this process sees to.
fn runners(config: &Config, domains: &Domains, pool: &sqlx::PgPool) -> anyhow::Result<Vec<Runner>> {
    let settings = &config.sync;
    let names: Vec<&str> = if settings.domains.is_empty() {
        domains.names().collect()
    } else {
        settings.domains.iter().map(String::as_str).collect()
    };
    let limits = Limits {
        chunk_rows: settings.chunk_rows,
        workers: settings.workers,
        pause_percent: settings.pause_percent,
        rows_per_second: std::num::NonZeroU32::new(settings.rows_per_second),
    };
    let host = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_default();
    let process = format!("{host}:{}", std::process::id());
    names
        .into_iter()
        .map(|name| {
            Ok(Runner {
                pool: pool.clone(),
                link: domains.link(name)?.clone(),
                limits,
                name: process.clone(),
            })
        })
        .collect()
}
