//! How the service is put together.

use std::sync::Arc;

use banyan_service_kit::{App, Context, Service};
use sqlx::migrate::Migrator;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::config::Config;
use crate::currencies::Currencies;
use crate::http;
use crate::jobs;
use crate::stripe::{self, StripeClient, full_jitter};
use crate::use_cases::{Clock, Env};

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
        let env = Env {
            stripe: StripeClient::new(ctx.config.stripe, full_jitter)?,
            currencies: Arc::new(Currencies::new(ctx.pool.clone())),
            pool: ctx.pool,
            charge: ctx.config.charge,
            clock: system_clock(),
            new_id: Uuid::now_v7,
        };
        let jobs = jobs::all(&ctx.config.jobs, &env)?;
        let app = App::new(http::router(env, ctx.tasks)).relay("/payments");
        Ok(jobs.into_iter().fold(app, App::job))
    }
}

/// The one place that asks the system for the time.
fn system_clock() -> Clock {
    OffsetDateTime::now_utc
}
