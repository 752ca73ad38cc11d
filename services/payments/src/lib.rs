//! The payments service: charges, refunds, payment methods, subscriptions, payouts and the ledger.
//!
//! Its operations are still the monolith's. The process that will serve them is here already, so that it can be
//! deployed, watched and connected before it takes over anything: health, metrics, its own database with outbox and
//! inbox, and the relay.

// Money is integers, everywhere in this crate.
#![deny(clippy::float_arithmetic, clippy::float_cmp, clippy::lossy_float_literal)]

mod app;
mod cli;
pub mod config;
pub mod consumers;
pub mod currencies;
pub mod domain;
pub mod http;
pub mod jobs;
pub mod monolith;
pub mod storage;
pub mod stripe;
pub mod use_cases;

pub use app::Payments;
