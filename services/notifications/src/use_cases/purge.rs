//! Deleting what nobody needs any more.

use banyan_idempotency::inbox;
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};

use crate::storage::notifications;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Audit rows deleted.
    pub notifications: u64,
    /// Inbox rows deleted.
    pub inbox: u64,
}

/// Deletes audit rows and inbox rows older than that many days.
///
/// # Errors
/// The database's.
pub async fn run(
    pool: &PgPool,
    now: OffsetDateTime,
    keep_days: u32,
    keep_inbox_days: u32,
) -> Result<Tally, sqlx::Error> {
    Ok(Tally {
        notifications: notifications::purge(pool, now - Duration::days(keep_days.into())).await?,
        inbox: inbox::prune(
            pool,
            std::time::Duration::from_hours(24 * u64::from(keep_inbox_days)),
        )
        .await?,
    })
}
