//! What Stripe tells, what is paid out, whether a day ties out, and what the monolith is asked for: against a running service, a real
//! PostgreSQL and a Stripe of each test's own.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not recognised as tests")]

#[path = "../support/mod.rs"]
mod support;

mod disputes;
mod fallback;
mod payouts;
mod stage;
mod tie_out;
mod tie_out_command;
mod webhooks;
