//! Subscriptions, invoices and renewals: the running service and its jobs, with a PostgreSQL database and a Stripe of each test's own.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not recognised as tests")]

mod coupons;
mod crashes;
mod ending;
mod invoices;
mod renewing;
mod subscribing;
mod switching;
mod world;
