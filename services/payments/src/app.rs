//! How the service is put together.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Extension;
use banyan_messaging::Consumer;
use banyan_service_kit::{App, Context, Service};
use sqlx::migrate::Migrator;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::cli;
use crate::config::Config;
use crate::consumers::{CONSUMED, Events};
use crate::currencies::Currencies;
use crate::http;
use crate::jobs;
use crate::monolith::Monolith;
use crate::stripe::{self, StripeClient, WebhookVerifier, full_jitter};
use crate::use_cases::erase_user::lately_erased;
use crate::use_cases::{Clock, Env, OWNERSHIP};

/// The payments service.
#[derive(Debug, Clone, Copy)]
pub struct Payments;

impl Service for Payments {
    const NAME: &'static str = "payments";
    const ABOUT: &'static str = "Charges cards, keeps the ledger and tells the other domains what was paid.";
    const DEFAULT_CONFIG: &'static str = concat!(
        include_str!("../config.default.toml"),
        include_str!("stripe/config.default.toml")
    );
    const SECRETS: &'static [&'static str] = stripe::CONFIG_SECRETS;

    type Config = Config;

    fn migrator() -> Migrator {
        sqlx::migrate!("../../migrations/payments")
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        http::openapi()
    }

    async fn build(ctx: Context<Config>) -> anyhow::Result<App> {
        let (config, kit, tasks) = (ctx.config.clone(), ctx.kit.clone(), ctx.tasks.clone());
        let env = env(ctx)?;
        let verifier = WebhookVerifier::new(config.stripe.webhook_secret);
        let mut router = http::router(env.clone(), tasks).layer(Extension(Arc::new(verifier)));
        if let Some(monolith) = env.monolith.clone() {
            router = http::with_fallback(router, monolith);
        }
        let jobs = jobs::all(&config.jobs, &env)?;
        let everybody = env.clone();
        let app = App::new(router).closed_accounts(move || lately_erased(everybody.clone()));
        let app = app.relay("/payments").consumer(move |shutdown| {
            let (broker, consumer) = (kit.broker.clone(), kit.consumer.clone());
            Consumer::new(Self::NAME, CONSUMED, broker, consumer, Events::new(env.clone())).run(shutdown)
        });
        Ok(jobs.into_iter().fold(app, App::job))
    }

    fn verbs() -> Vec<clap::Command> {
        cli::verbs()
    }

    async fn run_verb(
        ctx: Context<Config>,
        verb: String,
        args: clap::ArgMatches,
    ) -> anyhow::Result<ExitCode> {
        cli::run(&env(ctx)?, &verb, &args).await
    }
}

/// What the use cases work with.
fn env(ctx: Context<Config>) -> anyhow::Result<Env> {
    Ok(Env {
        stripe: StripeClient::new(ctx.config.stripe, full_jitter)?,
        monolith: Monolith::new(&ctx.config.fallback).context("[fallback]")?,
        ownership: OWNERSHIP,
        first_id: ctx.config.fallback.phase.first_id(),
        currencies: Arc::new(Currencies::new(ctx.pool.clone())),
        pool: ctx.pool,
        charge: ctx.config.charge,
        clock: system_clock(),
        new_id: Uuid::now_v7,
    })
}

/// The one place that asks the system for the time.
fn system_clock() -> Clock {
    OffsetDateTime::now_utc
}
