//! All SQL of the service.

pub mod batch;
pub mod contacts;
pub mod digests;
pub mod due;
pub mod error;
pub mod journal;
pub mod notifications;
pub mod preferences;
pub mod session;
pub mod templates;

/// The inbox's name for this service's consumer: its queue.
pub const CONSUMER: &str = "notifications.events";

/// Ids of rows that were born here begin at 2^40; smaller ones came from the monolith.
const BORN_HERE: i64 = 1 << 40;

pub use error::StoreError;
