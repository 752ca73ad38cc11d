//! One leader, one broker connection, until either is lost.

use lapin::Channel;
use tokio_util::sync::CancellationToken;

use super::{Relay, RelayError, leader::Leader, pipeline::Pipeline};
use crate::{Broker, backoff::Backoff, topology};

/// Batches that are read and not yet marked at most: one that is being confirmed, one whose marks are being written.
const BATCHES_KNOWN: usize = 2;

/// Publishes until `shutdown`.
///
/// # Errors
/// [`RelayError`] says what was lost; what was confirmed before is marked.
pub(super) async fn run(
    relay: &Relay,
    shutdown: &CancellationToken,
    backoff: &mut Backoff,
) -> Result<(), RelayError> {
    let mut session = Session::begin(relay).await?;
    tracing::info!(source = relay.source, "relay leads");
    let ended = lead(&mut session, shutdown, backoff).await;
    session.end().await;
    ended
}

async fn lead(
    session: &mut Session<'_>,
    shutdown: &CancellationToken,
    backoff: &mut Backoff,
) -> Result<(), RelayError> {
    while !shutdown.is_cancelled() {
        let pumped = session.pump(shutdown).await;
        if pumped.is_ok() || session.published > 0 {
            // Not before: a broker that refuses everything is asked less and less often.
            backoff.reset();
        }
        pumped?;
        tokio::select! {
            () = shutdown.cancelled() => {}
            slept = session.leader.sleep(session.relay.config.poll_interval()) => slept?,
        }
    }
    Ok(())
}

/// Publishes what is there; how many rows.
pub(super) async fn drain(relay: &Relay) -> Result<usize, RelayError> {
    let mut session = Session::begin(relay).await?;
    session.pump(&CancellationToken::new()).await?;
    let published = session.published;
    session.end().await;
    Ok(published)
}

struct Session<'a> {
    relay: &'a Relay,
    leader: Leader,
    broker: Broker,
    channel: Channel,
    published: usize,
}

impl<'a> Session<'a> {
    async fn begin(relay: &'a Relay) -> Result<Self, RelayError> {
        let leader = Leader::elect(&relay.pool).await?;
        let broker = Broker::connect(&relay.broker, "relay").await?;
        let channel = broker.confirm_channel().await?;
        topology::declare_exchanges(&channel).await?;
        Ok(Self {
            relay,
            leader,
            broker,
            channel,
            published: 0,
        })
    }

    /// Publishes until nothing is left, or until `shutdown`.
    ///
    /// # Errors
    /// What was lost; or [`RelayError::Refused`] where the broker did not take everything. What was confirmed is marked
    /// either way, where the database is there.
    async fn pump(&mut self, shutdown: &CancellationToken) -> Result<(), RelayError> {
        let mut pipeline = Pipeline::default();
        let pumped = self.pump_through(&mut pipeline, shutdown).await;
        let confirmed = pipeline.take_confirmed();
        if !confirmed.is_empty() {
            self.leader.mark(&confirmed).await?;
            self.count(confirmed.len());
        }
        pumped?;
        match pipeline.refused() {
            0 => Ok(()),
            refused => {
                metrics::counter!("banyan_outbox_refused_total", "source" => self.relay.source.clone())
                    .increment(refused as u64);
                Err(RelayError::Refused { refused })
            }
        }
    }

    /// Reads and marks while the broker works on what is under way. Measured (`cargo xtask bench relay`): the broker takes
    /// most of the time then, the database an eighth of the processor's and this process a sixth, so that more overlap or
    /// another shape of the statements would gain nothing. Ends when nothing is under way: because nothing is
    /// left, because it is to stop, or because something was refused.
    async fn pump_through(
        &mut self,
        pipeline: &mut Pipeline,
        shutdown: &CancellationToken,
    ) -> Result<(), RelayError> {
        let batch = self.relay.config.batch_size as usize;
        let capacity = batch.saturating_mul(BATCHES_KNOWN);
        loop {
            let goes_on = pipeline.refused() == 0 && !shutdown.is_cancelled();
            if goes_on {
                if pipeline.unmarked() >= batch || pipeline.is_idle() {
                    self.turn_over(pipeline, capacity).await?;
                }
                pipeline.publish_ready(&self.channel, &self.relay.source).await?;
            }
            if pipeline.is_settled() {
                return Ok(());
            }
            tokio::select! {
                biased;
                settled = pipeline.settle_some() => settled?,
                () = shutdown.cancelled(), if goes_on => {}
            }
        }
    }

    /// Marks what is confirmed and reads what there is room for.
    async fn turn_over(&mut self, pipeline: &mut Pipeline, capacity: usize) -> Result<(), RelayError> {
        let known = pipeline.known();
        let confirmed = pipeline.take_confirmed();
        let room = u32::try_from(capacity.saturating_sub(pipeline.len())).unwrap_or(u32::MAX);
        let rows = self.leader.turn_over(&confirmed, &known, room).await?;
        self.count(confirmed.len());
        pipeline.read(rows);
        Ok(())
    }

    fn count(&mut self, published: usize) {
        self.published += published;
        metrics::counter!("banyan_outbox_published_total", "source" => self.relay.source.clone())
            .increment(published as u64);
    }

    async fn end(self) {
        self.broker.close().await;
        self.leader.resign().await;
    }
}
