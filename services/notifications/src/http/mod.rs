//! The service's three operations.

mod error;
mod get_preferences;
mod list_notifications;
mod put_preferences;
mod router;
mod schema;

pub use error::ApiError;
pub use router::{openapi, router};
