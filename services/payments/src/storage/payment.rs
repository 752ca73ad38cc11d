//! Payments, read.

use banyan_fail_points::fail_points;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;

use super::{Due, unknown};
use crate::domain::{
    money::{CurrencyCode, Minor},
    payment::{Payment, PaymentStatus, Reason},
};

/// The columns that a [`Payment`] is made of.
macro_rules! payment_columns {
    () => {
        "id, user_id, customer_id, payment_method_id, currency, amount_minor, amount_refunded_minor, status, capture, \
         amount_authorized_minor, off_session, description, idempotency_key, request_fingerprint, \
         stripe_payment_intent_id, failure_code, failure_message, created_at, updated_at, completed_at"
    };
}
pub(super) use payment_columns;

impl FromRow<'_, PgRow> for Payment {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            user_id: row.try_get("user_id")?,
            customer_id: row.try_get("customer_id")?,
            payment_method_id: row.try_get("payment_method_id")?,
            currency: CurrencyCode::new(row.try_get("currency")?)
                .ok_or_else(|| unknown("payment.currency"))?,
            amount: Minor(row.try_get("amount_minor")?),
            amount_refunded: Minor(row.try_get("amount_refunded_minor")?),
            status: PaymentStatus::from_name(row.try_get("status")?)
                .ok_or_else(|| unknown("payment.status"))?,
            capture: row.try_get("capture")?,
            amount_authorized: row
                .try_get::<Option<i64>, _>("amount_authorized_minor")?
                .map(Minor),
            off_session: row.try_get("off_session")?,
            description: row.try_get("description")?,
            idempotency_key: row.try_get("idempotency_key")?,
            request_fingerprint: row.try_get("request_fingerprint")?,
            stripe_payment_intent_id: row.try_get("stripe_payment_intent_id")?,
            failure_code: row.try_get("failure_code")?,
            failure_message: row.try_get("failure_message")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            completed_at: row.try_get("completed_at")?,
        })
    }
}

/// A payment by its id.
///
/// # Errors
/// The database's.
pub async fn get(connection: &mut PgConnection, id: i64) -> Result<Option<Payment>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        payment_columns!(),
        " FROM payment WHERE id = $1"
    ))
    .bind(id)
    .fetch_optional(connection)
    .await
}

/// A user's own payment.
///
/// # Errors
/// The database's.
pub async fn get_own(
    connection: &mut PgConnection,
    user_id: i64,
    id: i64,
) -> Result<Option<Payment>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        payment_columns!(),
        " FROM payment WHERE id = $1 AND user_id = $2"
    ))
    .bind(id)
    .bind(user_id)
    .fetch_optional(connection)
    .await
}

/// A user's own payment, locked to the end of the caller's transaction. The lock is what captures, cancellations and refunds of one
/// payment queue at.
///
/// # Errors
/// The database's.
pub async fn lock_own(
    connection: &mut PgConnection,
    user_id: i64,
    id: i64,
) -> Result<Option<Payment>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        payment_columns!(),
        " FROM payment WHERE id = $1 AND user_id = $2 FOR NO KEY UPDATE"
    ))
    .bind(id)
    .bind(user_id)
    .fetch_optional(connection)
    .await
}

/// A payment by its id, locked as [`lock_own`] does.
///
/// # Errors
/// The database's.
pub async fn lock(connection: &mut PgConnection, id: i64) -> Result<Option<Payment>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        payment_columns!(),
        " FROM payment WHERE id = $1 FOR NO KEY UPDATE"
    ))
    .bind(id)
    .fetch_optional(connection)
    .await
}

/// Writes down how much of a payment was given back, the status that this gives it, and that payouts have to settle it. The caller
/// holds the payment's lock, and `payment` is as it was before.
///
/// # Errors
/// The database's.
pub async fn show_refunds(
    connection: &mut PgConnection,
    payment: &Payment,
    refunded: Minor,
    status: PaymentStatus,
    reason: Reason,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "WITH shown AS (
           UPDATE payment SET amount_refunded_minor = $2, status = $4, payout_due = true, updated_at = $6 WHERE id = $1
         )
         INSERT INTO payment_status_change (payment_id, from_status, to_status, reason, created_at)
         SELECT $1, $3, $4, $5, $6 WHERE $3 <> $4",
    )
    .bind(payment.id)
    .bind(refunded.0)
    .bind(payment.status.name())
    .bind(status.name())
    .bind(reason.name())
    .bind(now);
    fail_points!("payment.show_refunds", query.execute(connection).await)?;
    Ok(())
}

/// Payments from an id on that were made before a time and are pending still, oldest first, after a position of that order.
///
/// # Errors
/// The database's.
pub async fn pending(
    connection: &mut PgConnection,
    first_id: i64,
    before: OffsetDateTime,
    after: Option<&Due>,
    limit: i64,
) -> Result<Vec<Due>, sqlx::Error> {
    sqlx::query_as(
        "SELECT created_at AS at, id, id AS subject FROM payment
         WHERE status = 'pending' AND created_at < $1
           AND ($2::timestamptz IS NULL OR (created_at, id) > ($2, $3)) AND id >= $5
         ORDER BY created_at, id LIMIT $4",
    )
    .bind(before)
    .bind(after.map(|due| due.at))
    .bind(after.map(|due| due.id))
    .bind(limit)
    .bind(first_id)
    .fetch_all(connection)
    .await
}

/// The payment of a PaymentIntent.
///
/// # Errors
/// The database's.
pub async fn of_intent(
    connection: &mut PgConnection,
    intent_id: &str,
) -> Result<Option<Payment>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        payment_columns!(),
        " FROM payment WHERE stripe_payment_intent_id = $1"
    ))
    .bind(intent_id)
    .fetch_optional(connection)
    .await
}

/// A user's payments, newest first, after a position of that order.
///
/// # Errors
/// The database's.
pub async fn of_user(
    connection: &mut PgConnection,
    user_id: i64,
    after: Option<(OffsetDateTime, i64)>,
    limit: i64,
) -> Result<Vec<Payment>, sqlx::Error> {
    let (at, id) = after.unzip();
    // One statement per case: a condition that may be absent is planned for the worse of both.
    let query = if at.is_some() {
        sqlx::query_as(concat!(
            "SELECT ",
            payment_columns!(),
            " FROM payment WHERE user_id = $1 AND (created_at, id) < ($3, $4)
             ORDER BY created_at DESC, id DESC LIMIT $2"
        ))
    } else {
        sqlx::query_as(concat!(
            "SELECT ",
            payment_columns!(),
            " FROM payment WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2"
        ))
    };
    let query = query.bind(user_id).bind(limit);
    match after {
        Some(_) => query.bind(at).bind(id),
        None => query,
    }
    .fetch_all(connection)
    .await
}

/// What a user asked for and is not decided, by currency.
///
/// # Errors
/// The database's.
pub async fn undecided(
    connection: &mut PgConnection,
    user_id: i64,
) -> Result<Vec<(CurrencyCode, Minor)>, sqlx::Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT currency, sum(amount_minor)::bigint FROM payment
         WHERE user_id = $1 AND status = ANY ($2) GROUP BY currency",
    )
    .bind(user_id)
    .bind(PaymentStatus::UNDECIDED.map(PaymentStatus::name))
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(currency, sum)| {
            let code = CurrencyCode::new(&currency).ok_or_else(|| unknown("payment.currency"))?;
            Ok((code, Minor(sum)))
        })
        .collect()
}
