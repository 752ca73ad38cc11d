//! The database side that every service shares: pool, migrations runner, error classes, retry of serialization failures.
//!
//! A pool is made without connecting, so a service starts while its database is away and says so at `/readyz`;
//! [`ready`] is that question. What an error means for the caller (try again later, try again now, a broken rule,
//! a bug) is decided in one place, [`classify`].

mod class;
mod pool;
mod retry;

pub use class::{ErrorClass, classify, classify_chain};
pub use pool::{DbConfig, DbError, connect, migrate, ready};
pub use retry::retry_serialization;
