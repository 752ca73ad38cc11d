//! Exchanges and queues. Every declaration is idempotent; a service declares what it uses each time it connects.
//!
//! ```text
//! domain-events (topic) ──type──▶ <service>.events ──failed──▶ <service>.events.retry.5s … 30m ──TTL──▶ <service>.events
//!      │ no queue wants it            │ delivered too often           (default exchange: the main queue only)
//!      ▼                              ▼
//! domain-events.unrouted           dlx (topic) ──────────────▶ <service>.events.dead ◀── given up, or never readable
//! ```
//!
//! All queues are quorum queues. Dead-lettering is at-least-once, which needs `overflow=reject-publish`
//! (<https://www.rabbitmq.com/docs/quorum-queues#dead-lettering>).

use std::time::Duration;

use banyan_events::EventKind;
use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

/// The topic exchange of all domain events; the routing key is the event type.
pub const DOMAIN_EVENTS: &str = "domain-events";

/// Alternate exchange of [`DOMAIN_EVENTS`], and the queue behind it: what no queue wanted.
pub const UNROUTED: &str = "domain-events.unrouted";

/// The dead-letter exchange.
pub const DEAD_LETTER: &str = "dlx";

/// A message that was delivered this often without an outcome takes its consumer down each time: the broker moves it to
/// the dead queue. High, because each lost connection counts for every message that was underway.
const DELIVERY_LIMIT: i32 = 50;

/// Dead events may be looked at without end. Newer brokers would drop them at the twentieth time where nothing is said.
const NO_DELIVERY_LIMIT: i32 = i32::MAX;

/// The delays of the retry ladder unless configured otherwise.
pub const RETRY_DELAYS: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(5),
    Duration::from_mins(30),
];

/// The service's main queue, `<service>.events`.
pub fn queue(service: &str) -> String {
    format!("{service}.events")
}

/// Its dead queue, `<service>.events.dead`.
pub fn dead_queue(service: &str) -> String {
    format!("{service}.events.dead")
}

/// Its retry queue with this delay, `<service>.events.retry.5s`. The name follows the delay, because the broker refuses
/// to declare a queue anew with another TTL.
pub fn retry_queue(service: &str, delay: Duration) -> String {
    let millis = delay.as_millis();
    let label = match (millis % 1000, millis / 1000) {
        (0, seconds) if seconds >= 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        (0, seconds) => format!("{seconds}s"),
        _ => format!("{millis}ms"),
    };
    format!("{service}.events.retry.{label}")
}

/// Declares the exchanges that a publisher needs, and the queue for what nobody wants.
///
/// # Errors
/// The broker's, where something of that name exists with other properties.
pub async fn declare_exchanges(channel: &Channel) -> Result<(), lapin::Error> {
    exchange(channel, UNROUTED, ExchangeKind::Fanout, FieldTable::default()).await?;
    queue_with(channel, UNROUTED, quorum(NO_DELIVERY_LIMIT)).await?;
    bind(channel, UNROUTED, UNROUTED, "").await?;
    let mut arguments = FieldTable::default();
    arguments.insert("alternate-exchange".into(), long_string(UNROUTED));
    exchange(channel, DOMAIN_EVENTS, ExchangeKind::Topic, arguments).await?;
    exchange(channel, DEAD_LETTER, ExchangeKind::Topic, FieldTable::default()).await
}

/// Declares everything a consuming service needs and binds its queue to `kinds`, with the retry ladder of
/// [`RETRY_DELAYS`].
///
/// # Errors
/// The broker's, where something of that name exists with other properties.
pub async fn declare(channel: &Channel, service: &str, kinds: &[EventKind]) -> Result<(), lapin::Error> {
    declare_with(channel, service, kinds, &RETRY_DELAYS).await
}

/// [`declare`] with other delays.
///
/// Bindings are only added. A kind that a service no longer wants must be unbound by hand after the last old process is
/// gone: removing it here would take events away from the processes of another version that run beside this one.
///
/// # Errors
/// The broker's, where something of that name exists with other properties.
pub async fn declare_with(
    channel: &Channel,
    service: &str,
    kinds: &[EventKind],
    retry_delays: &[Duration],
) -> Result<(), lapin::Error> {
    declare_exchanges(channel).await?;
    let (main, dead) = (queue(service), dead_queue(service));

    queue_with(channel, &dead, quorum(NO_DELIVERY_LIMIT)).await?;
    bind(channel, &dead, DEAD_LETTER, &dead).await?;

    for delay in retry_delays {
        let mut arguments = dead_lettering(quorum(NO_DELIVERY_LIMIT), "", &main);
        let ttl = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(ttl));
        queue_with(channel, &retry_queue(service, *delay), arguments).await?;
    }

    queue_with(
        channel,
        &main,
        dead_lettering(quorum(DELIVERY_LIMIT), DEAD_LETTER, &dead),
    )
    .await?;
    for kind in kinds {
        bind(channel, &main, DOMAIN_EVENTS, kind.name()).await?;
    }
    Ok(())
}

fn quorum(delivery_limit: i32) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), long_string("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(delivery_limit));
    arguments
}

fn dead_lettering(mut arguments: FieldTable, exchange: &str, routing_key: &str) -> FieldTable {
    arguments.insert("x-dead-letter-exchange".into(), long_string(exchange));
    arguments.insert("x-dead-letter-routing-key".into(), long_string(routing_key));
    arguments.insert("x-dead-letter-strategy".into(), long_string("at-least-once"));
    arguments.insert("x-overflow".into(), long_string("reject-publish"));
    arguments
}

fn long_string(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

async fn exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    arguments: FieldTable,
) -> Result<(), lapin::Error> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(name.into(), kind, options, arguments)
        .await
}

async fn queue_with(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), lapin::Error> {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(name.into(), options, arguments)
        .await
        .map(|_| ())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), lapin::Error> {
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel
        .queue_bind(queue.into(), exchange.into(), key.into(), options, none)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_queues_are_named_by_their_delay() {
        let names = RETRY_DELAYS.map(|delay| retry_queue("notifications", delay));
        assert_eq!(
            names,
            [
                "notifications.events.retry.5s",
                "notifications.events.retry.30s",
                "notifications.events.retry.5m",
                "notifications.events.retry.30m",
            ]
        );
        assert_eq!(
            retry_queue("users", Duration::from_millis(150)),
            "users.events.retry.150ms"
        );
        assert_eq!(
            retry_queue("users", Duration::from_secs(90)),
            "users.events.retry.90s"
        );
    }
}
