//! The service's own sections of the configuration; `config.default.toml` explains every key.

use serde::Deserialize;
use time::Duration;

use crate::{
    channels::{EmailConfig, SmsConfig, WebhookConfig},
    templates::Links,
};

/// The service's own sections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[email]`
    pub email: EmailConfig,
    /// `[sms]`
    pub sms: SmsConfig,
    /// `[webhook]`
    pub webhook: WebhookConfig,
    /// `[links]`
    pub links: Links,
    /// `[jobs]`
    pub jobs: JobsConfig,
}

/// `[jobs]`: when each job runs (cron, UTC) and how much it does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsConfig {
    /// Sends queued notifications that the retry ladder has lost sight of.
    pub deliver_pending: DeliverPendingConfig,
    /// Tries failed notifications again.
    pub retry_failed_deliveries: RetryFailedConfig,
    /// Sends the daily summaries.
    pub send_daily_digest: DigestConfig,
    /// Reads delivery reports.
    pub process_bounces: BouncesConfig,
    /// Deletes old rows.
    pub purge_old_logs: PurgeConfig,
}

/// `[jobs.deliver_pending]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliverPendingConfig {
    /// Schedule.
    pub cron: String,
    /// Minutes after its last try at which a queued notification counts as forgotten; longer than the longest retry delay.
    pub overdue_after_minutes: u32,
    /// Notifications in one run at most.
    pub limit: u32,
}

/// `[jobs.retry_failed_deliveries]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryFailedConfig {
    /// Schedule.
    pub cron: String,
    /// Minutes between a failure and the next try.
    pub after_minutes: u32,
    /// Tries in all, those of the retry ladder included, after which a notification is left to people.
    pub max_attempts: u16,
    /// Notifications in one run at most.
    pub limit: u32,
}

/// `[jobs.send_daily_digest]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigestConfig {
    /// Schedule.
    pub cron: String,
    /// Minutes after which a digest that could not be sent is tried again.
    pub retry_after_minutes: u32,
    /// Tries after which a digest is given up.
    pub max_attempts: u16,
}

/// `[jobs.process_bounces]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BouncesConfig {
    /// Schedule.
    pub cron: String,
    /// Maildir that delivery reports arrive in; empty: none.
    pub maildir: String,
    /// Files in one run at most.
    pub limit: u32,
}

/// `[jobs.purge_old_logs]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurgeConfig {
    /// Schedule.
    pub cron: String,
    /// Days that an audit row is kept.
    pub keep_days: u32,
    /// Days that the inbox remembers an event; longer than a dead event waits for its replay.
    pub keep_inbox_days: u32,
}

/// What a delivery needs to know of the configuration.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    /// Domain of the Message-IDs.
    pub message_id_domain: String,
    /// Links in mails.
    pub links: Links,
    /// After this time a queued notification is taken up by a job.
    pub overdue_after: Duration,
    /// After this time a failed notification is taken up by a job.
    pub retry_failed_after: Duration,
}

impl From<&Config> for DeliverySettings {
    fn from(config: &Config) -> Self {
        Self {
            message_id_domain: config.email.message_id_domain.clone(),
            links: config.links.clone(),
            overdue_after: Duration::minutes(config.jobs.deliver_pending.overdue_after_minutes.into()),
            retry_failed_after: Duration::minutes(config.jobs.retry_failed_deliveries.after_minutes.into()),
        }
    }
}
