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

pub use error::StoreError;
