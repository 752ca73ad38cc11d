//! Domain events over RabbitMQ and PostgreSQL: transactional outbox, relay, topology, consumer runtime, dead events.
//!
//! # The way of an event
//! 1. A use case writes its state and, in the same transaction, the event: [`outbox::publish`].
//! 2. The [`Relay`] of that database publishes the row to the exchange `domain-events` and marks it after the broker's
//!    confirm. A crash in between publishes it twice, never not at all, and never out of its subject's order.
//! 3. A [`Consumer`] hands it to a [`Handler`], which records it within the transaction of its effect, so that the second
//!    delivery has none: the inbox of banyan-idempotency. It is acknowledged after the handler returned.
//! 4. What fails goes through the delayed retry queues, then to `<service>.events.dead`, where [`dead`] finds it.
//!
//! The names of exchanges and queues are in [`topology`]; the table in `sql/outbox.v1.sql`.

mod backoff;
mod broker;
mod consumer;
pub mod dead;
mod headers;
mod lanes;
pub mod outbox;
mod relay;
pub mod topology;

pub use broker::{Broker, BrokerConfig, BrokerError};
pub use consumer::{Consumer, ConsumerConfig, ConsumerError, Delivery, Handler, HandlerError};
pub use headers::names as header;
pub use relay::{Relay, RelayConfig, RelayError};

/// The tables of the outbox, as every writer's database has them.
pub const OUTBOX_SQL: &str = include_str!("../sql/outbox.v1.sql");
