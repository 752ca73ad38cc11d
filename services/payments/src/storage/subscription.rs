//! Subscriptions.
//!
//! Locks are taken in one order by everyone: a payment, then subscriptions by their ids, then an invoice, then a coupon.

use banyan_fail_points::fail_points;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;

use super::unknown;
use crate::domain::{
    money::CurrencyCode,
    subscription::{Subscription, SubscriptionStatus},
};

/// A subscription to be made, `incomplete`, of a user who has a customer.
#[derive(Clone, Copy, Debug)]
pub struct NewSubscription<'a> {
    /// The subscriber.
    pub user_id: i64,
    /// The subscriber's customer.
    pub customer_id: i64,
    /// What is subscribed to.
    pub plan_id: i64,
    /// The plan's currency.
    pub currency: CurrencyCode,
    /// The card that pays.
    pub payment_method_id: i64,
    /// The coupon.
    pub coupon_id: Option<i64>,
    /// The subscription that it takes over from.
    pub replaces_id: Option<i64>,
    /// The client's key, unique per user.
    pub idempotency_key: &'a str,
    /// SHA-256 of the canonical request in hex, [`crate::domain::fingerprint::subscription`].
    pub request_fingerprint: &'a str,
    /// Now, the start of its first period, UTC.
    pub now: OffsetDateTime,
    /// The end of that period.
    pub period_end: OffsetDateTime,
}

/// The columns that a [`Subscription`] is made of, of the table as `s`.
macro_rules! subscription_columns {
    () => {
        "s.id, s.user_id, s.customer_id, s.plan_id, s.payment_method_id, s.coupon_id, s.replaces_id, s.currency, s.status, \
         s.request_fingerprint, s.billing_anchor, s.current_period_start, s.current_period_end, s.cancel_at_period_end, \
         s.next_billing_at, s.failed_attempts, s.created_at, s.canceled_at, \
         (SELECT code FROM coupon WHERE coupon.id = s.coupon_id) AS coupon_code"
    };
}

impl FromRow<'_, PgRow> for Subscription {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            customer_id: row.try_get("customer_id")?,
            plan_id: row.try_get("plan_id")?,
            payment_method_id: row.try_get("payment_method_id")?,
            coupon_id: row.try_get("coupon_id")?,
            coupon_code: row.try_get("coupon_code")?,
            replaces_id: row.try_get("replaces_id")?,
            currency: CurrencyCode::new(row.try_get("currency")?)
                .ok_or_else(|| unknown("subscription.currency"))?,
            status: SubscriptionStatus::from_name(row.try_get("status")?)
                .ok_or_else(|| unknown("subscription.status"))?,
            request_fingerprint: row.try_get("request_fingerprint")?,
            billing_anchor: row.try_get("billing_anchor")?,
            current_period_start: row.try_get("current_period_start")?,
            current_period_end: row.try_get("current_period_end")?,
            cancel_at_period_end: row.try_get("cancel_at_period_end")?,
            next_billing_at: row.try_get("next_billing_at")?,
            failed_attempts: row.try_get("failed_attempts")?,
            created_at: row.try_get("created_at")?,
            canceled_at: row.try_get("canceled_at")?,
        })
    }
}

/// Makes a subscription.
///
/// # Errors
/// The database's; a constraint (`subscription_one_…`, `subscription_idempotency_key`) where the other side was faster.
pub async fn insert(
    connection: &mut PgConnection,
    new: &NewSubscription<'_>,
) -> Result<Subscription, sqlx::Error> {
    let query = sqlx::query_as(concat!(
        "INSERT INTO subscription AS s (user_id, customer_id, plan_id, currency, payment_method_id, coupon_id, replaces_id,
           idempotency_key, request_fingerprint, status, billing_anchor, current_period_start, current_period_end,
           next_billing_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12, $12, $11, $11)
         RETURNING ",
        subscription_columns!()
    ))
    .bind(new.user_id)
    .bind(new.customer_id)
    .bind(new.plan_id)
    .bind(new.currency.as_str())
    .bind(new.payment_method_id)
    .bind(new.coupon_id)
    .bind(new.replaces_id)
    .bind(new.idempotency_key)
    .bind(new.request_fingerprint)
    .bind(SubscriptionStatus::Incomplete.name())
    .bind(new.now)
    .bind(new.period_end);
    fail_points!("subscription.insert", query.fetch_one(connection).await)
}

/// A subscription by its id.
///
/// # Errors
/// The database's.
pub async fn get(connection: &mut PgConnection, id: i64) -> Result<Option<Subscription>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        subscription_columns!(),
        " FROM subscription s WHERE s.id = $1"
    ))
    .bind(id)
    .fetch_optional(connection)
    .await
}

/// The subscription that an earlier request of the user with this key made.
///
/// # Errors
/// The database's.
pub async fn of_key(
    connection: &mut PgConnection,
    user_id: i64,
    idempotency_key: &str,
) -> Result<Option<Subscription>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        subscription_columns!(),
        " FROM subscription s WHERE s.user_id = $1 AND s.idempotency_key = $2"
    ))
    .bind(user_id)
    .bind(idempotency_key)
    .fetch_optional(connection)
    .await
}

/// A user's own subscription, locked to the end of the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn lock_own(
    connection: &mut PgConnection,
    user_id: i64,
    id: i64,
) -> Result<Option<Subscription>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        subscription_columns!(),
        " FROM subscription s WHERE s.id = $2 AND s.user_id = $1 FOR NO KEY UPDATE OF s"
    ))
    .bind(user_id)
    .bind(id)
    .fetch_optional(connection)
    .await
}

/// A user's subscriptions that have not ended, by their ids, locked to the end of the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn lock_live_of(
    connection: &mut PgConnection,
    user_id: i64,
) -> Result<Vec<Subscription>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        subscription_columns!(),
        " FROM subscription s WHERE s.user_id = $1 AND s.status IN ('incomplete', 'active', 'past_due')
         ORDER BY s.id FOR NO KEY UPDATE OF s"
    ))
    .bind(user_id)
    .fetch_all(connection)
    .await
}

/// A subscription and the one that it replaces, by their ids, locked to the end of the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn lock_with_replaced(
    connection: &mut PgConnection,
    id: i64,
) -> Result<Vec<Subscription>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        subscription_columns!(),
        " FROM subscription s WHERE s.id IN ($1, (SELECT replaces_id FROM subscription WHERE id = $1))
         ORDER BY s.id FOR NO KEY UPDATE OF s"
    ))
    .bind(id)
    .fetch_all(connection)
    .await
}

/// A subscription that is to be billed now, locked to the end of the caller's transaction. `None` where it is not due, or another
/// transaction has it: two that bill do not wait for each other.
///
/// # Errors
/// The database's.
pub async fn lock_due(
    connection: &mut PgConnection,
    id: i64,
    now: OffsetDateTime,
) -> Result<Option<Subscription>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        subscription_columns!(),
        " FROM subscription s WHERE s.id = $1 AND s.status IN ('active', 'past_due') AND s.next_billing_at <= $2
         FOR NO KEY UPDATE OF s SKIP LOCKED"
    ))
    .bind(id)
    .bind(now)
    .fetch_optional(connection)
    .await
}

/// Subscriptions from an id on whose period is over, or whose next try after a decline is due; those that wait longest first.
///
/// # Errors
/// The database's.
pub async fn due(
    connection: &mut PgConnection,
    first_id: i64,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT id FROM subscription WHERE status IN ('active', 'past_due') AND next_billing_at <= $1 AND id >= $3
         ORDER BY next_billing_at LIMIT $2",
    )
    .bind(now)
    .bind(limit)
    .bind(first_id)
    .fetch_all(connection)
    .await
}

/// Whether a switch to another plan is under way, whose first payment decides which of the two goes on.
///
/// # Errors
/// The database's.
pub async fn is_being_replaced(connection: &mut PgConnection, id: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM subscription WHERE replaces_id = $1 AND status = 'incomplete')",
    )
    .bind(id)
    .fetch_one(connection)
    .await
}

/// Writes down what may change of a subscription, which is locked.
///
/// # Errors
/// The database's.
pub async fn save(
    connection: &mut PgConnection,
    subscription: &Subscription,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "UPDATE subscription SET status = $2, current_period_start = $3, current_period_end = $4,
           cancel_at_period_end = $5, next_billing_at = $6, failed_attempts = $7, canceled_at = $8, updated_at = $9
         WHERE id = $1",
    )
    .bind(subscription.id)
    .bind(subscription.status.name())
    .bind(subscription.current_period_start)
    .bind(subscription.current_period_end)
    .bind(subscription.cancel_at_period_end)
    .bind(subscription.next_billing_at)
    .bind(subscription.failed_attempts)
    .bind(subscription.canceled_at)
    .bind(now);
    fail_points!("subscription.save", query.execute(connection).await)?;
    Ok(())
}
