//! One file per use case.

pub mod conclusion;
pub mod deliver;
pub mod deliver_due;
pub mod erase_user;
pub mod install_templates;
pub mod list_notifications;
pub mod preferences;
pub mod process_bounces;
pub mod purge;
pub mod send_digest;

use time::OffsetDateTime;

/// Tells the time, UTC. Passed in, so that tests move it.
pub type Clock = fn() -> OffsetDateTime;
