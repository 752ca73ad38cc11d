//! Closing an account here when it was erased.

use banyan_db::retry_serialization;
use banyan_events::{Envelope, Event, payloads::UserDeleted};
use banyan_idempotency::inbox;
use time::Duration;

use crate::storage::customer;
use crate::use_cases::Env;
use crate::use_cases::cancel_subscription::end_all_of;

/// Longer than any access token is valid.
const TOKEN_LIFE: Duration = Duration::DAY;

/// The name under which this service records the events that it has handled.
const CONSUMER: &str = "payments";

/// Notes that nothing is to be charged to the user again, and ends the user's subscriptions; payments, ledger and invoices stay. Told twice,
/// the second time does nothing.
///
/// # Errors
/// The database's.
pub async fn run(env: &Env, envelope: &Envelope<Event>, erased: &UserDeleted) -> Result<(), sqlx::Error> {
    retry_serialization(async || {
        let now = env.now();
        let mut transaction = env.pool.begin().await?;
        if inbox::record(&mut transaction, CONSUMER, envelope).await? {
            // Waits for a subscription that is being made, which then is ended with the others.
            customer::lock_of_user(&mut transaction, erased.user_id).await?;
            customer::note_erased(&mut transaction, erased.user_id, erased.deleted_at).await?;
            end_all_of(&mut transaction, erased.user_id, now).await?;
        }
        transaction.commit().await
    })
    .await
}

/// The users who were erased so lately that a token of theirs may still be valid.
///
/// # Errors
/// The database's.
pub async fn lately_erased(env: Env) -> Result<Vec<i64>, sqlx::Error> {
    let mut connection = env.pool.acquire().await?;
    customer::erased_since(&mut connection, env.now() - TOKEN_LIFE).await
}
