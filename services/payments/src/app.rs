//! How the service is put together.

use std::sync::Arc;

use banyan_messaging::Consumer;
use banyan_service_kit::{App, Context, Service};
use sqlx::migrate::Migrator;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::config::Config;
use crate::consumers::{CONSUMED, Events};
use crate::currencies::Currencies;
use crate::stripe::{self, StripeClient, full_jitter};
use crate::use_cases::{Clock, Env};
use crate::{http, jobs};

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
        let Config { stripe, charge, jobs } = ctx.config;
        let env = Env {
            stripe: StripeClient::new(stripe, full_jitter)?,
            currencies: Arc::new(Currencies::new(ctx.pool.clone())),
            pool: ctx.pool,
            charge,
            clock: system_clock(),
            new_id: Uuid::now_v7,
        };
        let mut app = App::new(http::router(env.clone(), ctx.tasks)).relay("/payments");
        for job in jobs::all(&jobs, &env)? {
            app = app.job(job);
        }
        let kit = ctx.kit;
        Ok(app.consumer(move |shutdown| {
            let (broker, consumer) = (kit.broker.clone(), kit.consumer.clone());
            Consumer::new(Self::NAME, CONSUMED, broker, consumer, Events::new(env.clone())).run(shutdown)
        }))
    }
}

/// The one place that asks the system for the time.
fn system_clock() -> Clock {
    OffsetDateTime::now_utc
}
