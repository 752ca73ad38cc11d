//! The service's own sections of the configuration; `config.default.toml` explains every key.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::stripe::StripeConfig;

/// The service's own sections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[stripe]`
    pub stripe: StripeConfig,
    /// `[charge]`
    pub charge: ChargeConfig,
    /// `[fallback]`
    pub fallback: FallbackConfig,
    /// `[jobs]`
    pub jobs: JobsConfig,
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

/// `[fallback]`: whether and how the monolith is asked for payments that are not here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FallbackConfig {
    /// The phase that the domain is in.
    pub phase: Phase,
    /// The monolith itself, not the gateway before it. Needed in `ramp`.
    pub legacy_url: Option<Url>,
    /// Milliseconds that the monolith gets to answer.
    pub timeout_ms: u32,
    /// Bytes of an answer at most.
    pub max_body_bytes: usize,
}

impl FallbackConfig {
    /// [`FallbackConfig::timeout_ms`] as a duration.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }
}

/// How far the domain has moved from the monolith to this service.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The monolith serves.
    Legacy,
    /// The monolith serves; this service runs beside it.
    Shadow,
    /// A share of the users is served here.
    Ramp,
    /// This service serves.
    New,
    /// The monolith's side is gone.
    Retired,
}

impl Phase {
    /// From which id on the service's jobs work rows off. While the monolith's jobs run, each side finishes what it began, whoever
    /// serves the user now: both have all rows, and two that charge, pay out or bill the same one would do it twice.
    pub const fn first_id(self) -> i64 {
        match self {
            Self::Legacy | Self::Shadow | Self::Ramp => 1 << 40,
            Self::New | Self::Retired => 0,
        }
    }
}

/// `[jobs]`: when each job runs (cron, UTC) and how much it does. With an empty schedule a job never runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsConfig {
    /// Finds out what became of calls to Stripe whose outcome got lost.
    pub reconcile_pending_payments: ReconcileConfig,
    /// Bills the next periods of subscriptions.
    pub renew_subscriptions: RenewConfig,
    /// Sends what payments brought to the bank.
    pub create_payouts: JobConfig,
    /// Compares ledger, payments and Stripe for the day before.
    pub tie_out: JobConfig,
    /// Deletes expired idempotency keys and old rows of the inbox.
    pub purge_expired: PurgeConfig,
}

/// `[jobs.reconcile_pending_payments]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconcileConfig {
    /// Schedule.
    pub cron: String,
    /// How many are read at once; a run goes on until none is left.
    pub batch: NonZeroU32,
    /// How many are asked about at the same time; each takes a connection to the database between its calls.
    pub concurrency: NonZeroU32,
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

/// `[jobs.purge_expired]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurgeConfig {
    /// Schedule.
    pub cron: String,
    /// How many keys are deleted by one statement.
    pub batch: NonZeroU32,
    /// Days that the inbox remembers an event; longer than a dead event waits for its replay.
    pub keep_inbox_days: u32,
}

/// One job of `[jobs]` that has nothing but a schedule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobConfig {
    /// Schedule.
    pub cron: String,
}
