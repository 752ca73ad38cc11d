//! Where failed events go: up the ladder of retry queues, at last to the dead queue.

use std::{
    sync::Mutex as StdMutex,
    time::{Duration, Instant},
};

use banyan_events::EventKind;
use lapin::{
    BasicProperties, Channel, Confirmation, message,
    options::BasicPublishOptions,
    types::{FieldTable, ShortString},
};
use rand::Rng;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Handler, Shared};
use crate::{
    Broker, BrokerConfig, BrokerError,
    backoff::Backoff,
    headers::{self, names},
    topology,
};

/// A reason longer than this is cut: headers travel in one frame.
const REASON_CHARS: usize = 500;

/// Publishes to the retry and dead queues, over a connection of its own: a broker short of memory stops reading from
/// connections that publish, and the acknowledgements that would relieve it must not be stuck behind that.
pub(super) struct Ladder {
    service: String,
    kinds: Vec<EventKind>,
    broker: BrokerConfig,
    delays: Vec<Duration>,
    connection: Mutex<Option<(Broker, Channel)>>,
    spread: Vec<StdMutex<Spread>>,
}

impl Ladder {
    pub(super) fn new<H: Handler>(shared: &Shared<H>) -> Self {
        let delays = shared.config.retry_delays();
        Self {
            service: shared.service.clone(),
            kinds: shared.kinds.clone(),
            broker: shared.broker.clone(),
            spread: delays
                .iter()
                .map(|delay| StdMutex::new(Spread::new(*delay)))
                .collect(),
            delays,
            connection: Mutex::new(None),
        }
    }

    /// Puts a copy of a failed event where it belongs and waits for the broker's confirm, through every loss of the
    /// broker. `None` where the session was over first. Returns the outcome's name for the metrics.
    pub(super) async fn fail(
        &self,
        message: &message::Delivery,
        reason: &str,
        trace_id: Option<&str>,
        permanent: bool,
        over: &CancellationToken,
    ) -> Option<&'static str> {
        let attempt = headers::count(&message.properties, names::ATTEMPT)
            .unwrap_or(0)
            .saturating_add(1);
        let now = OffsetDateTime::now_utc();
        let mut table = self.failure_headers(message, reason, trace_id, attempt, now);
        let rung = usize::try_from(attempt - 1).unwrap_or(usize::MAX);
        let retry = if permanent { None } else { self.delays.get(rung) };
        let (exchange, key, outcome) = if let Some(delay) = retry {
            ("", topology::retry_queue(&self.service, *delay), "retry")
        } else {
            headers::set_text(&mut table, names::DEAD_AT, &rfc3339(now));
            (topology::DEAD_LETTER, topology::dead_queue(&self.service), "dead")
        };
        let mut properties = carried_over(&message.properties).with_headers(table);
        if retry.is_some() {
            let expiration = self.spread[rung]
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .next(Instant::now());
            properties = properties.with_expiration(expiration.as_millis().to_string().into());
        }
        tracing::warn!(attempt, reason, to = key, "event not handled");
        self.publish(exchange, &key, &message.data, properties, over)
            .await
            .then_some(outcome)
    }

    fn failure_headers(
        &self,
        message: &message::Delivery,
        reason: &str,
        trace_id: Option<&str>,
        attempt: u32,
        now: OffsetDateTime,
    ) -> FieldTable {
        let mut table = headers::without_brokers_own(&message.properties);
        headers::set_count(&mut table, names::ATTEMPT, attempt);
        let reason: String = reason.chars().take(REASON_CHARS).collect();
        headers::set_text(&mut table, names::REASON, &reason);
        if let Some(trace_id) = trace_id {
            headers::set_text(&mut table, names::TRACE_ID, trace_id);
        }
        headers::set_text(&mut table, names::ORIGINAL_QUEUE, &topology::queue(&self.service));
        if !table.contains_key(names::FIRST_FAILED_AT) {
            headers::set_text(&mut table, names::FIRST_FAILED_AT, &rfc3339(now));
        }
        if !table.contains_key(names::ORIGINAL_ROUTING_KEY) {
            headers::set_text(
                &mut table,
                names::ORIGINAL_ROUTING_KEY,
                message.routing_key.as_str(),
            );
        }
        if message.properties.message_id().is_none() && !table.contains_key(names::DEAD_ID) {
            headers::set_text(&mut table, names::DEAD_ID, &Uuid::now_v7().to_string());
        }
        table
    }

    async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
        over: &CancellationToken,
    ) -> bool {
        let mut backoff = Backoff::reconnect();
        loop {
            let error = match self.publish_once(exchange, key, body, properties.clone()).await {
                Ok(Confirmation::Ack(None)) => return true,
                Ok(refused) if refused.is_nack() => format!("{key} refused it"),
                Ok(_) => {
                    self.declare_anew().await;
                    format!("{key} did not exist")
                }
                Err(error) => error.to_string(),
            };
            tracing::warn!(error, to = key, "failed event could not be moved, trying again");
            tokio::select! {
                () = over.cancelled() => return false,
                () = tokio::time::sleep(backoff.next()) => {}
            }
        }
    }

    async fn publish_once(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<Confirmation, BrokerError> {
        let channel = self.channel().await?;
        // Mandatory: without it a message to a queue that was deleted is confirmed and gone.
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let confirm = channel
            .basic_publish(exchange.into(), key.into(), options, body, properties)
            .await?;
        Ok(confirm.await?)
    }

    async fn channel(&self) -> Result<Channel, BrokerError> {
        let mut connection = self.connection.lock().await;
        if let Some((_, channel)) = connection.as_ref()
            && channel.status().connected()
        {
            return Ok(channel.clone());
        }
        let broker = Broker::connect(&self.broker, "retry").await?;
        let channel = broker.confirm_channel().await?;
        topology::declare_with(&channel, &self.service, &self.kinds, &self.delays).await?;
        *connection = Some((broker, channel.clone()));
        Ok(channel)
    }

    /// Somebody deleted the queue. On the channel that stands: a new connection would void the confirms that other events
    /// wait for, and those would be published twice.
    async fn declare_anew(&self) {
        if let Some((_, channel)) = self.connection.lock().await.as_ref() {
            let declared = topology::declare_with(channel, &self.service, &self.kinds, &self.delays).await;
            if let Err(error) = declared {
                tracing::warn!(%error, "the queues of failed events could not be declared anew");
            }
        }
    }

    pub(super) async fn close(&self) {
        if let Some((broker, _)) = self.connection.lock().await.take() {
            broker.close().await;
        }
    }
}

/// The properties that belong to the event. Not the expiration, the priority or the user of whoever sent it.
fn carried_over(original: &BasicProperties) -> BasicProperties {
    let mut kept = BasicProperties::default().with_delivery_mode(2);
    let set = |value: &Option<ShortString>| value.clone();
    if let Some(value) = set(original.content_type()) {
        kept = kept.with_content_type(value);
    }
    if let Some(value) = set(original.content_encoding()) {
        kept = kept.with_content_encoding(value);
    }
    if let Some(value) = set(original.message_id()) {
        kept = kept.with_message_id(value);
    }
    if let Some(value) = set(original.kind()) {
        kept = kept.with_type(value);
    }
    if let Some(value) = set(original.app_id()) {
        kept = kept.with_app_id(value);
    }
    if let Some(value) = *original.timestamp() {
        kept = kept.with_timestamp(value);
    }
    kept
}

fn rfc3339(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}

/// Jitter for events that fail together.
///
/// A retry queue is first in, first out, and expires at its head only: with independent random expirations all would
/// wait for the longest one before them, and leave together after all. So the moments at which the events of one rung
/// are due only ever grow: in the last fifth of the delay, each a random step after the one before, until the delay is
/// reached. No event waits longer than its rung, and nothing is held back here meanwhile.
#[derive(Debug)]
struct Spread {
    delay: Duration,
    last_due: Option<Instant>,
}

impl Spread {
    fn new(delay: Duration) -> Self {
        Self {
            delay,
            last_due: None,
        }
    }

    /// The expiration of an event that fails now.
    fn next(&mut self, now: Instant) -> Duration {
        let window = self.delay / 5;
        let step = u64::try_from(window.as_micros() / 50).unwrap_or(u64::MAX);
        let step = Duration::from_micros(rand::rng().random_range(0..=step));
        let (earliest, latest) = (now + self.delay.saturating_sub(window), now + self.delay);
        let due = self.last_due.map_or(earliest, |last| last.max(earliest)) + step;
        let due = due.min(latest);
        self.last_due = Some(due);
        due - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_fail_together_come_back_one_after_the_other_and_none_late() {
        let mut spread = Spread::new(Duration::from_secs(5));
        let now = Instant::now();
        let dues: Vec<Duration> = (0..400).map(|_| spread.next(now)).collect();
        assert!(dues.is_sorted(), "a later one would block the head of the queue");
        assert!(dues[0] >= Duration::from_secs(4));
        assert!(dues.iter().all(|due| *due <= Duration::from_secs(5)));
        let distinct = dues.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert!(distinct > 50, "{distinct}");
        // Much later the ladder begins at the front of the window again.
        let later = spread.next(now + Duration::from_mins(1));
        assert!(later < Duration::from_millis(4_100), "{later:?}");
    }
}
