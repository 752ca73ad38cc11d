//! Calls to Stripe for payments, noted before they are made.

use banyan_fail_points::fail_points;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;

use super::{Due, unknown};
use crate::domain::{
    attempt::{Attempt, AttemptStatus, Calls, Operation},
    money::Minor,
    stripe_key,
};

impl FromRow<'_, PgRow> for Attempt {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            operation: Operation::from_name(row.try_get("operation")?)
                .ok_or_else(|| unknown("payment_attempt.operation"))?,
            amount: row.try_get::<Option<i64>, _>("amount_minor")?.map(Minor),
            status: AttemptStatus::from_name(row.try_get("status")?)
                .ok_or_else(|| unknown("payment_attempt.status"))?,
            started_at: row.try_get("started_at")?,
        })
    }
}

/// The calls for a payment, oldest first. Nobody adds one while the caller holds the payment's lock.
///
/// # Errors
/// The database's.
pub async fn of_payment(connection: &mut PgConnection, payment_id: i64) -> Result<Calls, sqlx::Error> {
    let attempts = sqlx::query_as(
        "SELECT id, operation, amount_minor, status, started_at FROM payment_attempt WHERE payment_id = $1 ORDER BY number",
    )
    .bind(payment_id)
    .fetch_all(connection)
    .await?;
    Ok(Calls(attempts))
}

/// A call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewAttempt<'a> {
    /// The payment, whose lock the caller holds.
    pub payment_id: i64,
    /// What Stripe is asked to do.
    pub operation: Operation,
    /// Of a capture: how much.
    pub amount: Option<Minor>,
    /// Of a charge: the user and the client's key, which Stripe's is made of.
    pub client: (i64, &'a str),
    /// The time, UTC.
    pub now: OffsetDateTime,
}

/// Notes a call. An open capture or cancellation is superseded by the same one made once more: it ends `declined`, without a
/// time at which it ended.
///
/// # Errors
/// The database's.
pub async fn add(connection: &mut PgConnection, attempt: &NewAttempt<'_>) -> Result<(), sqlx::Error> {
    let (user_id, client_key) = attempt.client;
    let key = match attempt.operation {
        Operation::Charge => stripe_key::charge(user_id, client_key),
        Operation::Capture => stripe_key::capture(attempt.payment_id),
        Operation::Cancel => stripe_key::cancel(attempt.payment_id),
    };
    let query = sqlx::query(
        "WITH superseded AS (
           UPDATE payment_attempt SET status = 'declined'
           WHERE payment_id = $1 AND operation = $2 AND operation <> 'charge' AND status IN ('started', 'unknown')
         )
         INSERT INTO payment_attempt (payment_id, number, operation, amount_minor, stripe_idempotency_key, status, started_at)
         SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, 'started', $5 FROM payment_attempt WHERE payment_id = $1",
    )
    .bind(attempt.payment_id)
    .bind(attempt.operation.name())
    .bind(attempt.amount.map(|amount| amount.0))
    .bind(key)
    .bind(attempt.now);
    fail_points!("attempt.add", query.execute(connection).await)?;
    Ok(())
}

/// Ends an open call as one that Stripe never carried out. The caller holds the payment's lock.
///
/// # Errors
/// The database's.
pub async fn give_up(connection: &mut PgConnection, id: i64, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE payment_attempt SET status = 'declined', finished_at = $2 WHERE id = $1")
        .bind(id)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Payments with a capture or cancellation that began before a time and whose outcome is not known, oldest first, after a
/// position of that order.
///
/// # Errors
/// The database's.
pub async fn undecided(
    connection: &mut PgConnection,
    first_id: i64,
    before: OffsetDateTime,
    after: Option<&Due>,
    limit: i64,
) -> Result<Vec<Due>, sqlx::Error> {
    sqlx::query_as(
        "SELECT started_at AS at, id, payment_id AS subject FROM payment_attempt
         WHERE status IN ('started', 'unknown') AND operation <> 'charge' AND started_at < $1
           AND ($2::timestamptz IS NULL OR (started_at, id) > ($2, $3)) AND id >= $5
         ORDER BY started_at, id LIMIT $4",
    )
    .bind(before)
    .bind(after.map(|due| due.at))
    .bind(after.map(|due| due.id))
    .bind(limit)
    .bind(first_id)
    .fetch_all(connection)
    .await
}
