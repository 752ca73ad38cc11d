//! Domain events over RabbitMQ and PostgreSQL: transactional outbox, relay, topology, consumer runtime, inbox, dead events.
//!
//! # The way of an event
//! 1. A use case writes its state and, in the same transaction, the event: [`outbox::publish`].
//! 2. The [`Relay`] of that database publishes the row to the exchange `domain-events` and marks it after the broker's
//!    confirm. A crash in between publishes it twice, never not at all, and never out of its subject's order.
//! 3. A [`Consumer`] hands it to a [`Handler`], which records it in the [`inbox`] within the transaction of its effect, so
//!    the second delivery has none. It is acknowledged after the handler returned.
//! 4. What fails goes through the delayed retry queues, then to `<service>.events.dead`, where [`dead`] finds it.
//!
//! The names of exchanges and queues are in [`topology`]; the tables in `sql/outbox.v1.sql` and `sql/inbox.v1.sql`.

mod backoff;
mod broker;
mod consumer;
pub mod dead;
mod headers;
pub mod inbox;
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

/// The table of the inbox, as every consumer's database has it.
pub const INBOX_SQL: &str = include_str!("../sql/inbox.v1.sql");
