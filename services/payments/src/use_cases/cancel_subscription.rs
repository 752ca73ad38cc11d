//! Ending subscriptions.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::subscription::{Subscription, SubscriptionStatus};
use crate::storage::{invoice, subscription};
use crate::use_cases::Env;

/// Ends a user's own subscription with its paid period; one that is not paid ends at once, and one that has ended stays as it is. `None`
/// where the user has no such subscription.
///
/// # Errors
/// The database's.
pub async fn cancel(env: &Env, user_id: i64, id: i64) -> Result<Option<Subscription>, sqlx::Error> {
    let now = env.now();
    let mut transaction = env.pool.begin().await?;
    env.ownership.hold(&mut transaction, user_id).await?;
    let Some(mut subscription) = subscription::lock_own(&mut transaction, user_id, id).await? else {
        return Ok(None);
    };
    if subscription.status == SubscriptionStatus::Active {
        if !subscription.cancel_at_period_end {
            subscription.cancel_at_period_end = true;
            subscription::save(&mut transaction, &subscription, now).await?;
        }
    } else if subscription.status.is_live() {
        end_now(&mut transaction, &mut subscription, now).await?;
    }
    transaction.commit().await?;
    Ok(Some(subscription))
}

/// Ends every subscription of a user, in the caller's transaction.
///
/// # Errors
/// The database's.
pub(super) async fn end_all_of(
    connection: &mut PgConnection,
    user_id: i64,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    for mut subscription in subscription::lock_live_of(connection, user_id).await? {
        end_now(connection, &mut subscription, now).await?;
    }
    Ok(())
}

/// Ends a subscription, which is locked; a payment that is under way is given back when it completes.
///
/// # Errors
/// The database's.
pub(super) async fn end_now(
    connection: &mut PgConnection,
    subscription: &mut Subscription,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    subscription.end(now);
    subscription::save(connection, subscription, now).await?;
    invoice::void_open(connection, subscription.id, now).await
}
