//! The operations, against a running service, a real PostgreSQL and a Stripe of each test's own.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not recognised as tests")]

#[path = "../support/mod.rs"]
mod support;

mod any_request;
mod charge;
mod documents;
mod input;
mod moved_users;
mod outcomes;
mod reads;
