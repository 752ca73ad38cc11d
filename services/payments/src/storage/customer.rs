//! Users as Stripe's customers, and users who are no more.

use banyan_fail_points::fail_points;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;

use crate::domain::customer::Customer;

impl FromRow<'_, PgRow> for Customer {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            stripe_customer_id: row.try_get("stripe_customer_id")?,
        })
    }
}

/// The user's customer.
///
/// # Errors
/// The database's.
pub async fn of_user(connection: &mut PgConnection, user_id: i64) -> Result<Option<Customer>, sqlx::Error> {
    sqlx::query_as("SELECT id, user_id, stripe_customer_id FROM customer WHERE user_id = $1")
        .bind(user_id)
        .fetch_optional(connection)
        .await
}

/// As [`of_user`], and locks the row to the end of the caller's transaction: what one user subscribes to is decided one after the other.
///
/// # Errors
/// The database's.
pub async fn lock_of_user(
    connection: &mut PgConnection,
    user_id: i64,
) -> Result<Option<Customer>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, user_id, stripe_customer_id FROM customer WHERE user_id = $1 FOR NO KEY UPDATE",
    )
    .bind(user_id)
    .fetch_optional(connection)
    .await
}

/// Stripe's id of a customer by its id here.
///
/// # Errors
/// The database's.
pub async fn stripe_id(connection: &mut PgConnection, id: i64) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("SELECT stripe_customer_id FROM customer WHERE id = $1")
        .bind(id)
        .fetch_one(connection)
        .await
}

/// Keeps the customer that Stripe made for a user. Of two first requests at once the row that came first counts: it is returned to
/// both.
///
/// # Errors
/// The database's.
pub async fn keep(
    connection: &mut PgConnection,
    user_id: i64,
    stripe_customer_id: &str,
    now: OffsetDateTime,
) -> Result<Customer, sqlx::Error> {
    // The update changes nothing; it is what returns a row that another transaction wrote a moment ago.
    let query = sqlx::query_as(
        "INSERT INTO customer (user_id, stripe_customer_id, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id
         RETURNING id, user_id, stripe_customer_id",
    )
    .bind(user_id)
    .bind(stripe_customer_id)
    .bind(now);
    fail_points!("customer.keep", query.fetch_one(connection).await)
}

/// Notes that a user's account was erased: nothing is charged to the user again. Told twice, the first moment stays.
///
/// # Errors
/// The database's.
pub async fn note_erased(
    connection: &mut PgConnection,
    user_id: i64,
    erased_at: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO erased_user (user_id, erased_at) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(user_id)
        .bind(erased_at)
        .execute(connection)
        .await?;
    Ok(())
}

/// The users whose accounts were erased after a time, UTC.
///
/// # Errors
/// The database's.
pub async fn erased_since(
    connection: &mut PgConnection,
    since: OffsetDateTime,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT user_id FROM erased_user WHERE erased_at > $1")
        .bind(since)
        .fetch_all(connection)
        .await
}

/// Whether the user's account was erased.
///
/// # Errors
/// The database's.
pub async fn is_erased(connection: &mut PgConnection, user_id: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM erased_user WHERE user_id = $1)")
        .bind(user_id)
        .fetch_one(connection)
        .await
}

/// What Stripe is asked with for a payment: its ids of customer and card; `None` for a payment without a card.
///
/// # Errors
/// The database's.
pub async fn stripe_ids_of(
    connection: &mut PgConnection,
    payment_id: i64,
) -> Result<Option<(String, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT c.stripe_customer_id, m.stripe_payment_method_id FROM payment p
         JOIN customer c ON c.id = p.customer_id JOIN payment_method m ON m.id = p.payment_method_id WHERE p.id = $1",
    )
    .bind(payment_id)
    .fetch_optional(connection)
    .await
}
