//! The relay: moves committed outbox rows to the broker, in order per subject, and marks them after the broker's confirm.
//!
//! One relay at a time works on a database: the leader holds a session advisory lock, on the connection that also reads
//! and marks the rows, so a relay that lost its lock can neither read nor mark. The others stand by.
//!
//! What happens where it dies: before the publish, nothing happened; between the publish and the mark, the event is
//! published a second time and the consumers' inbox drops it; after the mark, it is done.

mod leader;
mod pipeline;
mod row;
mod session;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{BrokerConfig, BrokerError, backoff::Backoff, outbox};

/// How often rows are pruned and the lag is measured.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(10);

/// How long a stopping relay waits for servers that do not answer. What is not confirmed by then is published a second
/// time by the next relay.
const LAST_CONFIRMS: Duration = Duration::from_secs(5);

/// Section `[relay]` of a service's configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// Rows marked together. While they are marked and the next ones are read, as many again are under way, so twice as
    /// many messages are in flight at most.
    pub batch_size: u32,
    /// How often a relay that nobody woke looks by itself, and a standby tries to become the leader, milliseconds.
    pub poll_interval_ms: u64,
    /// Published rows are deleted after this many hours.
    pub prune_after_hours: u64,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            batch_size: 500,
            poll_interval_ms: 1_000,
            prune_after_hours: 72,
        }
    }
}

impl RelayConfig {
    fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_interval_ms)
    }
}

/// Why a relay stopped or lost its session.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// `batch_size` or `poll_interval_ms` is 0.
    #[error("batch_size and poll_interval_ms of the relay must be at least 1")]
    Config,
    /// The database that holds the outbox is away, or has no outbox.
    #[error("outbox: {0}")]
    Database(#[from] sqlx::Error),
    /// The broker is away.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The broker took some messages and refused others; those stay unpublished and are tried again.
    #[error("the broker refused {refused} messages: is a queue full, or has it lost its majority?")]
    Refused {
        /// Messages refused.
        refused: usize,
    },
    /// Another relay is the leader.
    #[error("another relay works on this outbox")]
    StandBy,
}

impl From<lapin::Error> for RelayError {
    fn from(error: lapin::Error) -> Self {
        Self::Broker(error.into())
    }
}

/// The relay of one database's outbox.
#[derive(Clone, Debug)]
pub struct Relay {
    pool: PgPool,
    broker: BrokerConfig,
    source: String,
    config: RelayConfig,
}

impl Relay {
    /// A relay for the outbox behind `pool`; `source` is the CloudEvents source of its events, such as `/payments`.
    pub fn new(pool: PgPool, broker: BrokerConfig, source: &str, config: RelayConfig) -> Self {
        Self {
            pool,
            broker,
            source: source.to_owned(),
            config,
        }
    }

    /// Publishes until `shutdown`, through every loss of the broker and of the database. At shutdown it waits for the
    /// confirms of what is in flight.
    ///
    /// # Errors
    /// [`RelayError`]: the configuration makes no sense, or the broker's URL cannot be read.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RelayError> {
        self.check()?;
        let _housekeeping = self.housekeeping();
        let mut backoff = Backoff::reconnect();
        while !shutdown.is_cancelled() {
            let session = session::run(&self, &shutdown, &mut backoff);
            let too_long = async {
                shutdown.cancelled().await;
                tokio::time::sleep(LAST_CONFIRMS).await;
            };
            let ended = tokio::select! {
                ended = session => ended,
                () = too_long => {
                    tracing::warn!(source = self.source, "relay stops without the last confirms");
                    break;
                }
            };
            let wait = match ended {
                Ok(()) => break,
                Err(error @ RelayError::Broker(BrokerError::Url)) => return Err(error),
                Err(RelayError::StandBy) => self.config.poll_interval(),
                Err(error) => {
                    let wait = backoff.next();
                    tracing::warn!(source = self.source, %error, ?wait, "relay lost its session, starting over");
                    wait
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        Ok(())
    }

    /// Publishes what is there now and returns how many rows that were: one step, for tests.
    ///
    /// # Errors
    /// [`RelayError`]; what was confirmed is marked all the same.
    pub async fn drain_once(&self) -> Result<usize, RelayError> {
        self.check()?;
        session::drain(self).await
    }

    fn check(&self) -> Result<(), RelayError> {
        if self.config.batch_size == 0 || self.config.poll_interval_ms == 0 {
            return Err(RelayError::Config);
        }
        Ok(())
    }

    /// Prunes published rows and measures the lag, beside the publishing. Ends with the returned handle.
    fn housekeeping(&self) -> AbortOnDropHandle<()> {
        let (pool, source) = (self.pool.clone(), self.source.clone());
        let keep = Duration::from_secs(self.config.prune_after_hours * 3600);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(HOUSEKEEPING_INTERVAL);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if let Err(error) = keep_house(&pool, &source, keep).await {
                    tracing::debug!(%error, "outbox could not be measured or pruned this time");
                }
            }
        }))
    }
}

async fn keep_house(pool: &PgPool, source: &str, keep: Duration) -> Result<(), sqlx::Error> {
    let lag = outbox::lag(pool).await?;
    let labels = [("source", source.to_owned())];
    metrics::gauge!("banyan_outbox_unpublished", &labels).set(metric(lag.unpublished));
    // Whole seconds: the age of a backlog matters, not its fraction.
    metrics::gauge!("banyan_outbox_oldest_seconds", &labels).set(metric(lag.oldest_ms / 1000));
    outbox::prune(pool, keep).await?;
    Ok(())
}

/// A count as a gauge takes it.
fn metric(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
