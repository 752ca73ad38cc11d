//! The consumer runtime: what stands between a queue and a handler.
//!
//! Events of one subject are handled one after the other in the order they arrived, others side by side up to the
//! prefetch. An event is acknowledged after its handler returned `Ok`, or after the broker confirmed its copy in a retry
//! queue or in the dead queue. A process that dies at any point leaves the event unacknowledged: it comes again, and the
//! inbox makes the second time a no-op.
//!
//! An event that is retried is overtaken by later events of its subject. Handlers to whom that matters compare the
//! envelope's `sequence`.

mod ladder;
mod session;
mod work;

use std::{sync::Arc, time::Duration};

use banyan_events::{Envelope, Event, EventKind};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{Broker, BrokerConfig, BrokerError, backoff::Backoff, topology};

/// Section `[consumer]` of a service's configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerConfig {
    /// How many events are underway at most.
    pub prefetch: u16,
    /// The delays of the retry ladder, milliseconds. An event that fails once more after the last one is dead.
    pub retry_delays_ms: Vec<u64>,
    /// How often the depths of the retry and dead queues are measured, milliseconds.
    pub depth_interval_ms: u64,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            prefetch: 20,
            retry_delays_ms: vec![5_000, 30_000, 300_000, 1_800_000],
            depth_interval_ms: 15_000,
        }
    }
}

impl ConsumerConfig {
    fn retry_delays(&self) -> Vec<Duration> {
        self.retry_delays_ms
            .iter()
            .copied()
            .map(Duration::from_millis)
            .collect()
    }
}

/// Why a handler did not handle an event.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HandlerError {
    /// It may work later: the event goes to the next rung of the retry ladder.
    #[error("{0}")]
    Retry(String),
    /// It can never work: the event goes straight to the dead queue.
    #[error("{0}")]
    Permanent(String),
    /// What every event needs is away, the service's own database for instance: the consumer holds still and tries this
    /// event again until it works. No attempt is counted.
    #[error("{0}")]
    Unavailable(String),
}

/// One event as a handler gets it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The event.
    pub envelope: Envelope<Event>,
    /// Which attempt this is, beginning at 1.
    pub attempt: u32,
    /// Whether the broker has delivered it before, to whomever: the event may have been handled already.
    pub redelivered: bool,
    /// The trace that this belongs to, 32 hex digits.
    pub trace_id: Option<String>,
}

/// What a service does with an event.
///
/// A handler is called again for the same event after any crash, so it records the event in the inbox in the
/// transaction of its effect, and returns `Ok` only after the commit. A panic counts as [`HandlerError::Retry`].
pub trait Handler: Send + Sync + 'static {
    /// Handles one event.
    ///
    /// # Errors
    /// [`HandlerError`] says what becomes of the event. Its text goes into the message's headers and into the log, so it
    /// holds no personal data.
    fn handle(&self, delivery: &Delivery) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// Why a consumer cannot run at all. A broker that is away is not among them: it is waited for.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// `prefetch` is 0, which AMQP takes for "unlimited".
    #[error("prefetch of the consumer must be at least 1")]
    Prefetch,
    /// A retry delay is 0, or two are the same.
    #[error("retry_delays_ms of the consumer must be different and greater than 0")]
    RetryDelays,
    /// The URL cannot be read.
    #[error(transparent)]
    Broker(BrokerError),
}

/// Consumes `<service>.events`.
pub struct Consumer<H> {
    shared: Arc<Shared<H>>,
}

/// What every session and every running handler needs.
struct Shared<H> {
    service: String,
    queue: String,
    kinds: Vec<EventKind>,
    broker: BrokerConfig,
    config: ConsumerConfig,
    handler: H,
    hold: work::Hold,
}

impl<H: Handler> Consumer<H> {
    /// A consumer of `kinds` for `service`.
    pub fn new(
        service: &str,
        kinds: &[EventKind],
        broker: BrokerConfig,
        config: ConsumerConfig,
        handler: H,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                service: service.to_owned(),
                queue: topology::queue(service),
                kinds: kinds.to_vec(),
                broker,
                config,
                handler,
                hold: work::Hold::default(),
            }),
        }
    }

    /// Declares the queues and bindings, so that events published from now on are kept for this consumer.
    ///
    /// # Errors
    /// The broker is away, or a queue exists with other properties.
    pub async fn declare(&self) -> Result<(), BrokerError> {
        let shared = &self.shared;
        let broker = Broker::connect(&shared.broker, "declare").await?;
        let channel = broker.channel().await?;
        let delays = shared.config.retry_delays();
        topology::declare_with(&channel, &shared.service, &shared.kinds, &delays).await?;
        broker.close().await;
        Ok(())
    }

    /// Consumes until `shutdown`, through every loss of the broker. At shutdown it takes no more events, lets the running
    /// handlers end, and closes.
    ///
    /// # Errors
    /// [`ConsumerError`]: the configuration makes no sense.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ConsumerError> {
        self.check()?;
        let mut backoff = Backoff::reconnect();
        while !shutdown.is_cancelled() {
            let error = match session::run(&self.shared, &shutdown, &mut backoff).await {
                Ok(()) => break,
                Err(error @ BrokerError::Url) => return Err(ConsumerError::Broker(error)),
                Err(error) => error,
            };
            let wait = backoff.next();
            tracing::warn!(queue = self.shared.queue, %error, ?wait, "consumer lost the broker, connecting again");
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConsumerError> {
        let config = &self.shared.config;
        if config.prefetch == 0 {
            return Err(ConsumerError::Prefetch);
        }
        let mut delays = config.retry_delays_ms.clone();
        delays.sort_unstable();
        delays.dedup();
        if delays.len() != config.retry_delays_ms.len() || delays.first() == Some(&0) {
            return Err(ConsumerError::RetryDelays);
        }
        Ok(())
    }
}
