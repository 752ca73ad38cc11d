//! Outbox, relay, consumer runtime and dead queue against a real PostgreSQL and a real RabbitMQ.
//!
//! One binary, so that it is linked once. Each test has a database and a vhost of its own.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

mod consumer_faults;
mod consumer_order;
mod consumer_outcomes;
mod dead;
mod outbox;
mod relay_faults;
mod relay_messages;
mod relay_order;
mod relay_sleep;
mod support;
