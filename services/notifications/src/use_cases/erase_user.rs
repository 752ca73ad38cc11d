//! Erasing a user whose account was deleted.

use banyan_events::{Envelope, Event};
use banyan_idempotency::inbox;
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};

use crate::{
    domain::contact::ContactChange,
    storage::{CONSUMER, StoreError, contacts},
};

/// Longer than any access token is valid.
const TOKEN_LIFE: Duration = Duration::DAY;

/// Erases everything known of the user and records the event, in one transaction.
///
/// # Errors
/// The database's.
pub async fn run(
    pool: &PgPool,
    change: &ContactChange,
    envelope: &Envelope<Event>,
) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    contacts::erase(&mut transaction, change).await?;
    inbox::record(&mut transaction, CONSUMER, envelope).await?;
    transaction.commit().await?;
    Ok(())
}

/// The users who were erased so lately that a token of theirs may still be valid.
///
/// # Errors
/// The database's.
pub async fn lately_erased(pool: PgPool, now: OffsetDateTime) -> Result<Vec<i64>, sqlx::Error> {
    contacts::erased_since(&pool, now - TOKEN_LIFE).await
}
