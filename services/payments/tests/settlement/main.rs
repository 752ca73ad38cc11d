//! What follows a charge: captures, cancellations, refunds, and finding out what became of each. Against a running service, a real
//! PostgreSQL and a Stripe of each test's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests are not recognised as tests"
)]

#[path = "../support/mod.rs"]
mod support;

mod authorizations;
mod jobs;
mod races;
mod reconcile_changes;
mod reconcile_charges;
mod reconcile_refunds;
mod refund_rows;
mod refunds;
mod world;
