//! One leader, one broker connection, until either is lost.

use lapin::Channel;
use tokio_util::sync::CancellationToken;

use super::{
    Relay, RelayError,
    batch::{Batch, Settled},
    leader::Leader,
};
use crate::{Broker, backoff::Backoff, topology};

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
    backoff.reset();
    tracing::info!(source = relay.source, "relay leads");
    while !shutdown.is_cancelled() {
        session.pump().await?;
        tokio::select! {
            () = shutdown.cancelled() => {}
            slept = session.leader.sleep(relay.config.poll_interval()) => slept?,
        }
    }
    session.end().await;
    Ok(())
}

/// Publishes what is there; how many rows.
pub(super) async fn drain(relay: &Relay) -> Result<usize, RelayError> {
    let mut session = Session::begin(relay).await?;
    let published = session.pump().await?;
    session.end().await;
    Ok(published)
}

struct Session<'a> {
    relay: &'a Relay,
    leader: Leader,
    broker: Broker,
    channel: Channel,
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
        })
    }

    /// Publishes until nothing is left. While the confirms of one batch are under way, the next is read and published.
    async fn pump(&mut self) -> Result<usize, RelayError> {
        let mut published = 0;
        let mut under_way = Batch::default();
        loop {
            let rows = self
                .leader
                .unpublished(self.relay.config.batch_size, under_way.ids())
                .await?;
            let next = Batch::publish(&self.channel, rows, &self.relay.source).await?;
            published += self.settle(under_way).await?;
            if next.ids().is_empty() {
                return Ok(published);
            }
            under_way = next;
        }
    }

    /// Marks what the broker confirmed.
    ///
    /// # Errors
    /// [`RelayError::Refused`] where it did not take everything, after marking the rest: the session starts over, so that
    /// what was refused is published again before anything newer is.
    async fn settle(&mut self, batch: Batch) -> Result<usize, RelayError> {
        let sent = batch.ids().len();
        if sent == 0 {
            return Ok(0);
        }
        let Settled { confirmed, refused } = batch.settle().await;
        if !confirmed.is_empty() {
            self.leader.mark(&confirmed).await?;
        }
        let labels = [("source", self.relay.source.clone())];
        metrics::counter!("banyan_outbox_published_total", &labels).increment(confirmed.len() as u64);
        if refused > 0 {
            metrics::counter!("banyan_outbox_refused_total", &labels).increment(refused as u64);
            return Err(RelayError::Refused { refused, sent });
        }
        Ok(confirmed.len())
    }

    async fn end(self) {
        self.broker.close().await;
        self.leader.resign().await;
    }
}
