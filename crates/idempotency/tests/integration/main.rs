//! Against a real PostgreSQL; each test has a database of its own. One binary, so that it is linked once.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

mod inbox;
