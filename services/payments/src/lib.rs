//! The payments service: charges, refunds, payment methods, subscriptions, payouts and the ledger.
//!
//! A request goes from [`http`] to one of the [`use_cases`], which decide by the rules of [`domain`], keep what they decided by
//! [`storage`], and ask [`stripe`] while no transaction is open. [`jobs`] and [`consumers`] lead to use cases too.

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
