//! Keeps the tables of two PostgreSQL databases in step while both are written, and finds every difference between them.
//!
//! ```text
//! mapping.toml ──► check ──► snapshot ──► changes ──► validate ──► repair
//!                              forward, and back once the other side is written too
//! ```
//!
//! [`Mapping`] says once how rows of one side become rows of the other; everything here is driven by it and knows nothing of any domain.
//! Changes come by logical replication, which says *which* rows changed; what they are now is read through the mapping. So applying is
//! idempotent, and the position in the log, kept in the written database, may be behind but never ahead.
//!
//! Terms: the *source* is the legacy database, the *target* the new one, whichever way rows go; a [`Direction`] reads from one and
//! writes to the other.

mod apply;
mod catalog;
pub mod changes;
pub mod check;
mod database;
mod drift;
mod error;
mod key;
mod mapping;
pub mod snapshot;
mod sql;
pub mod state;
pub mod status;
pub mod validate;

pub use database::{Database, Link};
pub use error::Error;
pub use key::Key;
pub use mapping::{Direction, Mapping, MappingError, Table};
