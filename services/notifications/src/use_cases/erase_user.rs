//! Erasing a user whose account was deleted.

use banyan_events::{Envelope, Event};
use banyan_idempotency::inbox;
use sqlx::PgPool;

use crate::{
    domain::contact::ContactChange,
    storage::{CONSUMER, StoreError, contacts},
};

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
