//! How the parts are put together.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use banyan_messaging::Consumer;
use banyan_service_kit::{App, Context, Service};
use sqlx::migrate::Migrator;
use time::OffsetDateTime;
use utoipa::openapi::OpenApi;

use crate::{
    channels::{Channels, EmailChannel, SmsChannel, WebhookChannel},
    cli,
    config::{Config, DeliverySettings},
    consumers::Events,
    domain::notice::CONSUMED,
    http, jobs,
    use_cases::{Clock, deliver::Deliver, erase_user::lately_erased, install_templates},
};

/// The service's migrations.
pub fn migrator() -> Migrator {
    sqlx::migrate!("../../migrations/notifications")
}

/// The notifications service.
#[derive(Clone, Copy, Debug)]
pub struct Notifications;

impl Service for Notifications {
    const NAME: &'static str = "notifications";
    const ABOUT: &'static str = "Tells users what happened, by e-mail, text message or webhook.";
    const DEFAULT_CONFIG: &'static str = include_str!("../config.default.toml");
    const SECRETS: &'static [&'static str] = &["email.smtp.password", "sms.secret"];

    type Config = Config;

    fn migrator() -> Migrator {
        migrator()
    }

    fn openapi() -> OpenApi {
        http::openapi()
    }

    async fn build(ctx: Context<Config>) -> anyhow::Result<App> {
        let Context {
            kit, config, pool, ..
        } = ctx;
        anyhow::ensure!(
            config.email.gate.max_concurrent < usize::from(kit.consumer.prefetch),
            "email.gate.max_concurrent ({}) must be below consumer.prefetch ({}): a slow mail server would stop every event",
            config.email.gate.max_concurrent,
            kit.consumer.prefetch,
        );
        let channels = channels(&config)?;
        let deliver = Arc::new(Deliver::new(
            pool.clone(),
            channels,
            DeliverySettings::from(&config),
            system_clock(),
        ));
        let handler = Events::new(Arc::clone(&deliver), kit.consumer.retry_delays_ms.len());
        let (database, clock) = (pool.clone(), system_clock());
        let mut app = App::new(http::router(pool.clone()))
            .closed_accounts(move || lately_erased(database.clone(), clock()))
            .relay("/notifications");
        for job in jobs::all(&config, &deliver)? {
            app = app.job(job);
        }
        Ok(app.consumer(move |shutdown| {
            let (pool, handler, deliver) = (pool.clone(), handler.clone(), Arc::clone(&deliver));
            let (broker, consumer) = (kit.broker.clone(), kit.consumer.clone());
            async move {
                install_templates::release(&pool).await?;
                let consumer = Consumer::new(Self::NAME, CONSUMED, broker, consumer, handler);
                let ended = consumer.run(shutdown).await;
                deliver.channels().close().await;
                ended.map_err(anyhow::Error::from)
            }
        }))
    }

    fn verbs() -> Vec<clap::Command> {
        cli::verbs()
    }

    async fn run_verb(
        ctx: Context<Config>,
        verb: String,
        args: clap::ArgMatches,
    ) -> anyhow::Result<ExitCode> {
        cli::run(&ctx.pool, &verb, &args).await
    }
}

/// The channels that the configuration describes.
///
/// # Errors
/// The section at fault.
pub fn channels(config: &Config) -> anyhow::Result<Channels> {
    Ok(Channels {
        email: EmailChannel::new(&config.email).context("[email] from")?,
        sms: SmsChannel::new(&config.sms)?,
        webhook: WebhookChannel::new(&config.webhook).context("[webhook]")?,
    })
}

/// The one place that asks the system for the time.
pub fn system_clock() -> Clock {
    OffsetDateTime::now_utc
}
