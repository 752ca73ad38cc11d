//! Refunds.
//!
//! What a refund does to its payment is written under the payment's lock, which is what refunds of one payment queue at.

use banyan_fail_points::fail_points;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;

use super::{Due, unknown};
use crate::domain::{
    money::{CurrencyCode, Minor},
    payment::Payment,
    refund::{Refund, RefundReason, RefundStatus},
};

/// The columns that a [`Refund`] is made of.
macro_rules! refund_columns {
    () => {
        "id, payment_id, amount_minor, currency, status, reason, idempotency_key, request_fingerprint, stripe_refund_id, \
         failure_code, started_at, finished_at, created_at, completed_at"
    };
}

impl FromRow<'_, PgRow> for Refund {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let reason: Option<&str> = row.try_get("reason")?;
        Ok(Self {
            id: row.try_get("id")?,
            payment_id: row.try_get("payment_id")?,
            amount: Minor(row.try_get("amount_minor")?),
            currency: CurrencyCode::new(row.try_get("currency")?)
                .ok_or_else(|| unknown("refund.currency"))?,
            status: RefundStatus::from_name(row.try_get("status")?)
                .ok_or_else(|| unknown("refund.status"))?,
            reason: reason
                .map(|reason| RefundReason::from_name(reason).ok_or_else(|| unknown("refund.reason")))
                .transpose()?,
            idempotency_key: row.try_get("idempotency_key")?,
            request_fingerprint: row.try_get("request_fingerprint")?,
            stripe_refund_id: row.try_get("stripe_refund_id")?,
            failure_code: row.try_get("failure_code")?,
            started_at: row.try_get("started_at")?,
            finished_at: row.try_get("finished_at")?,
            created_at: row.try_get("created_at")?,
            completed_at: row.try_get("completed_at")?,
        })
    }
}

/// A refund by its id.
///
/// # Errors
/// The database's.
pub async fn get(connection: &mut PgConnection, id: i64) -> Result<Option<Refund>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        refund_columns!(),
        " FROM refund WHERE id = $1"
    ))
    .bind(id)
    .fetch_optional(connection)
    .await
}

/// A refund by Stripe's id.
///
/// # Errors
/// The database's.
pub async fn of_stripe(
    connection: &mut PgConnection,
    stripe_refund_id: &str,
) -> Result<Option<Refund>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        refund_columns!(),
        " FROM refund WHERE stripe_refund_id = $1"
    ))
    .bind(stripe_refund_id)
    .fetch_optional(connection)
    .await
}

/// The refund of a payment that was asked for with a client's key.
///
/// # Errors
/// The database's.
pub async fn of_key(
    connection: &mut PgConnection,
    payment_id: i64,
    idempotency_key: &str,
) -> Result<Option<Refund>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        refund_columns!(),
        " FROM refund WHERE payment_id = $1 AND idempotency_key = $2"
    ))
    .bind(payment_id)
    .bind(idempotency_key)
    .fetch_optional(connection)
    .await
}

/// A payment's refunds, newest first, after a position of that order.
///
/// # Errors
/// The database's.
pub async fn of_payment(
    connection: &mut PgConnection,
    payment_id: i64,
    after: Option<(OffsetDateTime, i64)>,
    limit: i64,
) -> Result<Vec<Refund>, sqlx::Error> {
    let (at, id) = after.unzip();
    sqlx::query_as(concat!(
        "SELECT ",
        refund_columns!(),
        " FROM refund
         WHERE payment_id = $1 AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4))
         ORDER BY created_at DESC, id DESC LIMIT $2"
    ))
    .bind(payment_id)
    .bind(limit)
    .bind(at)
    .bind(id)
    .fetch_all(connection)
    .await
}

/// What of a payment is about to be given back: the sum of its pending refunds.
///
/// # Errors
/// The database's.
pub async fn pending(connection: &mut PgConnection, payment_id: i64) -> Result<Minor, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce(sum(amount_minor), 0)::bigint FROM refund WHERE payment_id = $1 AND status = 'pending'",
    )
    .bind(payment_id)
    .fetch_one(connection)
    .await
    .map(Minor)
}

/// A refund that a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct NewRefund<'a> {
    /// The payment, whose lock the caller holds.
    pub payment: &'a Payment,
    /// How much, more than zero and at most what is left.
    pub amount: Minor,
    /// Why.
    pub reason: Option<RefundReason>,
    /// The client's key, unique per payment.
    pub idempotency_key: &'a str,
    /// SHA-256 of the canonical request in hex, [`crate::domain::fingerprint::refund`].
    pub request_fingerprint: &'a str,
    /// The time, UTC: Stripe is asked next.
    pub now: OffsetDateTime,
}

/// Notes a refund before Stripe is asked.
///
/// # Errors
/// The database's; a constraint (`refund_idempotency_key`) where the payment has one with that key.
pub async fn insert(connection: &mut PgConnection, new: &NewRefund<'_>) -> Result<Refund, sqlx::Error> {
    let query = sqlx::query_as(concat!(
        "INSERT INTO refund (payment_id, amount_minor, currency, reason, idempotency_key, request_fingerprint, status,
           started_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $7, $7) RETURNING ",
        refund_columns!()
    ))
    .bind(new.payment.id)
    .bind(new.amount.0)
    .bind(new.payment.currency.as_str())
    .bind(new.reason.map(RefundReason::name))
    .bind(new.idempotency_key)
    .bind(new.request_fingerprint)
    .bind(new.now);
    fail_points!("refund.insert", query.fetch_one(connection).await)
}

/// The row of a refund that was not asked for here but made in Stripe's dashboard, made where there is none; pending until it is settled.
/// The caller holds the payment's lock.
///
/// # Errors
/// The database's.
pub async fn adopt(
    connection: &mut PgConnection,
    payment: &Payment,
    stripe_refund_id: &str,
    amount: Minor,
    now: OffsetDateTime,
) -> Result<Refund, sqlx::Error> {
    // The update changes nothing; it is what returns a row that is there already.
    sqlx::query_as(concat!(
        "INSERT INTO refund (payment_id, amount_minor, currency, stripe_refund_id, status, created_at, updated_at)
         VALUES ($1, $2, $3, $4, 'pending', $5, $5)
         ON CONFLICT ON CONSTRAINT refund_stripe_refund_id_key DO UPDATE SET stripe_refund_id = excluded.stripe_refund_id
         RETURNING ",
        refund_columns!()
    ))
    .bind(payment.id)
    .bind(amount.0)
    .bind(payment.currency.as_str())
    .bind(stripe_refund_id)
    .bind(now)
    .fetch_one(connection)
    .await
}

/// Notes that Stripe is asked for a pending refund once more, unless a call for it can still be under way; whether it was noted.
///
/// # Errors
/// The database's.
pub async fn begin_call(
    connection: &mut PgConnection,
    id: i64,
    lease_start: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(
        "UPDATE refund SET started_at = $3, finished_at = NULL, updated_at = $3
         WHERE id = $1 AND status = 'pending' AND (started_at IS NULL OR finished_at IS NOT NULL OR started_at <= $2)",
    )
    .bind(id)
    .bind(lease_start)
    .bind(now);
    let begun = fail_points!("refund.begin_call", query.execute(connection).await)?;
    Ok(begun.rows_affected() == 1)
}

/// Writes what became of a refund. The caller holds the payment's lock, under which `refund` was worked out.
///
/// # Errors
/// The database's.
pub async fn update(
    connection: &mut PgConnection,
    refund: &Refund,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "UPDATE refund SET status = $2, stripe_refund_id = $3, failure_code = $4, finished_at = $5, completed_at = $6,
           updated_at = $7 WHERE id = $1",
    )
    .bind(refund.id)
    .bind(refund.status.name())
    .bind(refund.stripe_refund_id.as_deref())
    .bind(refund.failure_code.as_deref())
    .bind(refund.finished_at)
    .bind(refund.completed_at)
    .bind(now);
    fail_points!("refund.update", query.execute(connection).await)?;
    Ok(())
}

/// Pending refunds from an id on whose last call to Stripe began before a time, or was never made, oldest first, after a position of that order.
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
        "SELECT created_at AS at, id, id AS subject FROM refund
         WHERE status = 'pending' AND (started_at IS NULL OR started_at < $1)
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
