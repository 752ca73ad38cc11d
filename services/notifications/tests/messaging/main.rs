//! Events in, mails out: against a real PostgreSQL, RabbitMQ and SMTP server.

#[path = "../support/mod.rs"]
mod support;

mod carried;
mod contacts;
mod failures;
mod http_channels;
mod jobs;
mod mails;
mod once;
mod outage;
mod slow;
mod wishes;
