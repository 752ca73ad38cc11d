//! Payment methods.

use banyan_fail_points::fail_points;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;

use crate::domain::customer::PaymentMethod;

/// A card as Stripe describes it.
#[derive(Clone, Copy, Debug)]
pub struct NewMethod<'a> {
    /// Stripe's id.
    pub stripe_payment_method_id: &'a str,
    /// `visa` …
    pub brand: &'a str,
    /// The last four digits.
    pub last4: &'a str,
    /// Month of expiry, 1 to 12.
    pub exp_month: i16,
    /// Year of expiry, four digits.
    pub exp_year: i16,
    /// Stripe's fingerprint of the card number, where it gives one.
    pub fingerprint: Option<&'a str>,
}

macro_rules! method_columns {
    () => {
        "id, customer_id, stripe_payment_method_id, brand, last4, exp_month, exp_year, is_default, created_at"
    };
}

impl FromRow<'_, PgRow> for PaymentMethod {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            customer_id: row.try_get("customer_id")?,
            stripe_payment_method_id: row.try_get("stripe_payment_method_id")?,
            brand: row.try_get("brand")?,
            last4: row.try_get("last4")?,
            exp_month: row.try_get("exp_month")?,
            exp_year: row.try_get("exp_year")?,
            is_default: row.try_get("is_default")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

/// A user's attached methods, newest first, after a position of that order.
///
/// # Errors
/// The database's.
pub async fn of_user(
    connection: &mut PgConnection,
    user_id: i64,
    after: Option<(OffsetDateTime, i64)>,
    limit: i64,
) -> Result<Vec<PaymentMethod>, sqlx::Error> {
    let (at, id) = after.unzip();
    // Within one customer's few cards the absent condition costs nothing.
    sqlx::query_as(concat!(
        "SELECT ",
        method_columns!(),
        " FROM payment_method WHERE customer_id = (SELECT id FROM customer WHERE user_id = $1) AND detached_at IS NULL
           AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
         ORDER BY created_at DESC, id DESC LIMIT $4"
    ))
    .bind(user_id)
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(connection)
    .await
}

/// Whether this is one of the customer's attached methods.
///
/// # Errors
/// The database's.
pub async fn is_attached(
    connection: &mut PgConnection,
    customer_id: i64,
    id: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM payment_method WHERE id = $2 AND customer_id = $1 AND detached_at IS NULL)",
    )
    .bind(customer_id)
    .bind(id)
    .fetch_one(connection)
    .await
}

/// The customer's attached method with this Stripe id.
///
/// # Errors
/// The database's.
pub async fn by_stripe_id(
    connection: &mut PgConnection,
    customer_id: i64,
    stripe_id: &str,
) -> Result<Option<PaymentMethod>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        method_columns!(),
        " FROM payment_method WHERE stripe_payment_method_id = $2 AND customer_id = $1 AND detached_at IS NULL"
    ))
    .bind(customer_id)
    .bind(stripe_id)
    .fetch_optional(connection)
    .await
}

/// The customer's first attached method of the same card, where Stripe gives it a fingerprint.
///
/// # Errors
/// The database's.
pub async fn same_card(
    connection: &mut PgConnection,
    customer_id: i64,
    card: &NewMethod<'_>,
) -> Result<Option<PaymentMethod>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        method_columns!(),
        " FROM payment_method WHERE customer_id = $1 AND detached_at IS NULL
           AND fingerprint = $2 AND exp_month = $3 AND exp_year = $4 ORDER BY id LIMIT 1"
    ))
    .bind(customer_id)
    .bind(card.fingerprint)
    .bind(card.exp_month)
    .bind(card.exp_year)
    .fetch_optional(connection)
    .await
}

/// Keeps a card that Stripe has attached to the customer; the customer's first becomes the default. One that was detached is attached
/// again. `None`: the card is another customer's.
///
/// For the caller's transaction: the customer's row is locked to its end, which serialises who gets to be the default.
///
/// # Errors
/// The database's.
pub async fn keep(
    connection: &mut PgConnection,
    customer_id: i64,
    card: &NewMethod<'_>,
    now: OffsetDateTime,
) -> Result<Option<PaymentMethod>, sqlx::Error> {
    lock_customer(connection, customer_id).await?;
    let query = sqlx::query_as(concat!(
        "INSERT INTO payment_method AS m (customer_id, stripe_payment_method_id, brand, last4, exp_month, exp_year,
           fingerprint, is_default, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7,
           NOT EXISTS (SELECT FROM payment_method WHERE customer_id = $1 AND is_default), $8)
         ON CONFLICT (stripe_payment_method_id) DO UPDATE SET detached_at = NULL,
           is_default = CASE WHEN m.detached_at IS NULL THEN m.is_default ELSE excluded.is_default END
         WHERE m.customer_id = excluded.customer_id
         RETURNING ",
        method_columns!()
    ))
    .bind(customer_id)
    .bind(card.stripe_payment_method_id)
    .bind(card.brand)
    .bind(card.last4)
    .bind(card.exp_month)
    .bind(card.exp_year)
    .bind(card.fingerprint)
    .bind(now);
    fail_points!("method.keep", query.fetch_optional(connection).await)
}

/// What became of a detachment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Detached {
    /// Detached; Stripe's id of it.
    Done(String),
    /// The user has no such method.
    Missing,
    /// A live subscription uses it.
    InUse,
}

/// Detaches a user's method, so that it is never charged again; the newest other becomes the default where it was.
///
/// For the caller's transaction: the customer's row is locked to its end.
///
/// # Errors
/// The database's.
pub async fn detach(
    connection: &mut PgConnection,
    user_id: i64,
    method_id: i64,
    now: OffsetDateTime,
) -> Result<Detached, sqlx::Error> {
    let customer: Option<i64> =
        sqlx::query_scalar("SELECT id FROM customer WHERE user_id = $1 FOR NO KEY UPDATE")
            .bind(user_id)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(customer_id) = customer else {
        return Ok(Detached::Missing);
    };
    let found: Option<(String, bool, bool)> = sqlx::query_as(
        "SELECT stripe_payment_method_id, is_default, EXISTS (SELECT FROM subscription s
           WHERE s.payment_method_id = m.id AND s.status IN ('incomplete', 'active', 'past_due'))
         FROM payment_method m WHERE id = $1 AND customer_id = $2 AND detached_at IS NULL",
    )
    .bind(method_id)
    .bind(customer_id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((stripe_id, was_default, in_use)) = found else {
        return Ok(Detached::Missing);
    };
    if in_use {
        return Ok(Detached::InUse);
    }
    sqlx::query("UPDATE payment_method SET is_default = false, detached_at = $2 WHERE id = $1")
        .bind(method_id)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    if was_default {
        sqlx::query(
            "UPDATE payment_method SET is_default = true WHERE id = (SELECT id FROM payment_method
               WHERE customer_id = $1 AND detached_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 1)",
        )
        .bind(customer_id)
        .execute(connection)
        .await?;
    }
    Ok(Detached::Done(stripe_id))
}

async fn lock_customer(connection: &mut PgConnection, customer_id: i64) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT FROM customer WHERE id = $1 FOR NO KEY UPDATE")
        .bind(customer_id)
        .execute(connection)
        .await?;
    Ok(())
}
