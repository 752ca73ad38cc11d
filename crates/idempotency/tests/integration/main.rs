//! Against a real PostgreSQL and a real HTTP server; each test has a database of its own. One binary, so that it is
//! linked once.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

mod by_handler;
mod claims;
mod hang_ups;
mod inbox;
mod lease;
mod metrics;
mod outcomes;
mod racing;
mod reaping;
mod replay;
mod support;
