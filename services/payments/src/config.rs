//! The service's own sections of the configuration; `config.default.toml` explains every key.

use std::time::Duration;

use serde::Deserialize;

use crate::stripe::StripeConfig;

/// The service's own sections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[stripe]`
    pub stripe: StripeConfig,
    /// `[charge]`
    pub charge: ChargeConfig,
    /// `[jobs]`
    pub jobs: JobsConfig,
}

/// `[jobs]`: when each job runs (cron, UTC) and how much it does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsConfig {
    /// Bills the next periods.
    pub renew_subscriptions: RenewConfig,
}

/// `[jobs.renew_subscriptions]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewConfig {
    /// Schedule.
    pub cron: String,
    /// Subscriptions in one run at most.
    pub limit: u32,
}

/// `[charge]`: the time a call to Stripe gets, and how long keys are remembered.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChargeConfig {
    /// Milliseconds that all tries of one call to Stripe may take together, while a client waits.
    pub deadline_ms: u32,
    /// Seconds after which a request counts as crashed, and the next one with its key goes on; above the deadline.
    pub lease_seconds: u32,
    /// Hours that an idempotency key is remembered.
    pub retention_hours: u32,
}

impl ChargeConfig {
    /// [`ChargeConfig::deadline_ms`] as a duration.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms.into())
    }

    /// [`ChargeConfig::lease_seconds`] as a duration.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds.into())
    }

    /// [`ChargeConfig::retention_hours`] as a duration.
    pub fn retention(&self) -> Duration {
        Duration::from_hours(self.retention_hours.into())
    }
}
