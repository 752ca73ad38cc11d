//! Listing one's own notifications.

use sqlx::PgPool;
use time::OffsetDateTime;

use crate::{domain::notification::Notification, storage::notifications};

/// Up to `limit` notifications of the user, newest first, after the position of the last one seen.
///
/// # Errors
/// The database's.
pub async fn run(
    pool: &PgPool,
    user_id: i64,
    after: Option<(OffsetDateTime, i64)>,
    limit: i64,
) -> Result<Vec<Notification>, sqlx::Error> {
    notifications::of_user(pool, user_id, after, limit).await
}
