//! Payouts, and what of each payment is in them.

use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;

use super::{text, unknown};
use crate::domain::{
    money::{CurrencyCode, Minor},
    payment::MAX_FAILURE_CODE,
    payout::{Payout, PayoutOutcome, PayoutStatus},
};

macro_rules! payout_columns {
    () => {
        "id, currency, amount_minor, payment_count, status, stripe_payout_id, created_at"
    };
}

impl FromRow<'_, PgRow> for Payout {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            currency: CurrencyCode::new(row.try_get("currency")?)
                .ok_or_else(|| unknown("payout.currency"))?,
            amount: Minor(row.try_get("amount_minor")?),
            payment_count: row.try_get("payment_count")?,
            status: PayoutStatus::from_name(row.try_get("status")?)
                .ok_or_else(|| unknown("payout.status"))?,
            stripe_payout_id: row.try_get("stripe_payout_id")?,
            created_at: row.try_get("created_at")?,
        })
    }
}

/// Currencies with payments from an id on, and from before `settled_before` that are not, or not fully, paid out.
///
/// # Errors
/// The database's.
pub async fn due_currencies(
    connection: &mut PgConnection,
    first_id: i64,
    settled_before: OffsetDateTime,
) -> Result<Vec<CurrencyCode>, sqlx::Error> {
    let codes: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT currency FROM payment WHERE payout_due AND completed_at <= $1 AND id >= $2 ORDER BY currency",
    )
    .bind(settled_before)
    .bind(first_id)
    .fetch_all(connection)
    .await?;
    codes
        .iter()
        .map(|code| CurrencyCode::new(code).ok_or_else(|| unknown("payment.currency")))
        .collect()
}

/// Locks payments from an id on that are due, oldest first, to the end of the caller's transaction. Those that others hold are being refunded,
/// disputed or paid out elsewhere: they are in the next payout.
///
/// # Errors
/// The database's.
pub async fn lock_due(
    connection: &mut PgConnection,
    first_id: i64,
    currency: CurrencyCode,
    settled_before: OffsetDateTime,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT id FROM payment WHERE payout_due AND currency = $1 AND completed_at <= $2 AND id >= $4
         ORDER BY completed_at, id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED",
    )
    .bind(currency.as_str())
    .bind(settled_before)
    .bind(limit)
    .bind(first_id)
    .fetch_all(connection)
    .await
}

/// Notes a payout of what locked payments still add: the amount less refunds, disputes, fee, and what was paid out before. `None`, and
/// the payments stay due, while that is nothing or less than nothing.
///
/// A statement of its own after [`lock_due`]: its snapshot must see what was committed before the locks were got.
///
/// # Errors
/// The database's.
pub async fn begin(
    connection: &mut PgConnection,
    currency: CurrencyCode,
    payments: &[i64],
    now: OffsetDateTime,
) -> Result<Option<Payout>, sqlx::Error> {
    sqlx::query_as(concat!(
        "WITH owed AS MATERIALIZED (
           SELECT p.id, (p.amount_minor - p.amount_refunded_minor
             - coalesce((SELECT sum(f.amount_minor) FROM fee f WHERE f.payment_id = p.id), 0)
             - coalesce((SELECT sum(d.amount_minor) FROM dispute d WHERE d.payment_id = p.id AND d.is_withdrawn), 0)
             - coalesce((SELECT sum(i.amount_minor) FROM payout_item i
                 WHERE i.payment_id = p.id AND NOT i.is_released), 0))::bigint AS amount_minor
           FROM payment p WHERE p.id = ANY ($2)
         ), total AS (
           SELECT sum(amount_minor)::bigint AS amount_minor, count(*) FILTER (WHERE amount_minor <> 0) AS payments FROM owed
         ), made AS (
           INSERT INTO payout (currency, amount_minor, payment_count, started_at, created_at, updated_at)
           SELECT $1, amount_minor, payments, $3, $3, $3 FROM total WHERE amount_minor > 0
           RETURNING ",
        payout_columns!(),
        "), item AS (
           INSERT INTO payout_item (payout_id, payment_id, amount_minor, created_at)
           SELECT m.id, o.id, o.amount_minor, $3 FROM made m, owed o WHERE o.amount_minor <> 0
         ), noted AS (
           UPDATE payment SET payout_due = false, updated_at = $3 FROM made WHERE payment.id = ANY ($2)
         )
         SELECT ",
        payout_columns!(),
        " FROM made"
    ))
    .bind(currency.as_str())
    .bind(payments)
    .bind(now)
    .fetch_optional(connection)
    .await
}

/// Payouts from an id on that Stripe has not told the end of and that nobody has asked about since `before`, oldest first.
///
/// # Errors
/// The database's.
pub async fn unfinished(
    connection: &mut PgConnection,
    first_id: i64,
    before: OffsetDateTime,
) -> Result<Vec<Payout>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        payout_columns!(),
        " FROM payout WHERE status IN ('pending', 'in_transit') AND (started_at IS NULL OR started_at < $1)
           AND id >= $2
         ORDER BY created_at, id"
    ))
    .bind(before)
    .bind(first_id)
    .fetch_all(connection)
    .await
}

/// Notes that Stripe is about to be asked for a payout.
///
/// # Errors
/// The database's.
pub async fn note_started(
    connection: &mut PgConnection,
    id: i64,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE payout SET started_at = $2, updated_at = $2 WHERE id = $1")
        .bind(id)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// The payout with that id at Stripe; else the one that it was made for, where our row does not know Stripe's id yet.
///
/// # Errors
/// The database's.
pub async fn of_stripe(
    connection: &mut PgConnection,
    stripe_id: &str,
    payout_id: Option<i64>,
) -> Result<Option<Payout>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        payout_columns!(),
        " FROM payout WHERE stripe_payout_id = $1 OR (id = $2 AND stripe_payout_id IS NULL)
         ORDER BY stripe_payout_id NULLS LAST LIMIT 1"
    ))
    .bind(stripe_id)
    .bind(payout_id)
    .fetch_optional(connection)
    .await
}

/// A payout, locked to the end of the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn lock(connection: &mut PgConnection, id: i64) -> Result<Option<Payout>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        payout_columns!(),
        " FROM payout WHERE id = $1 FOR NO KEY UPDATE"
    ))
    .bind(id)
    .fetch_optional(connection)
    .await
}

/// Writes down where a locked payout stands now, and Stripe's id where it was not known.
///
/// # Errors
/// The database's.
pub async fn advance(
    connection: &mut PgConnection,
    id: i64,
    status: PayoutStatus,
    outcome: &PayoutOutcome,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE payout SET status = $2, stripe_payout_id = coalesce(stripe_payout_id, $3),
           paid_at = CASE WHEN $2 = 'paid' THEN coalesce(paid_at, $5) ELSE paid_at END,
           failure_code = CASE WHEN $2 IN ('failed', 'canceled') THEN $4 END, updated_at = $5
         WHERE id = $1",
    )
    .bind(id)
    .bind(status.name())
    .bind(outcome.stripe_id.as_deref())
    .bind(text(outcome.code.as_deref(), MAX_FAILURE_CODE))
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes the payments of a payout due again: its money is still at Stripe.
///
/// # Errors
/// The database's.
pub async fn release(connection: &mut PgConnection, id: i64, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE payout_item SET is_released = true WHERE payout_id = $1")
        .bind(id)
        .execute(&mut *connection)
        .await?;
    // In the order of their ids: two payouts that fail at once cannot wait for each other.
    sqlx::query(
        "WITH released AS (
           SELECT id FROM payment WHERE id IN (SELECT payment_id FROM payout_item WHERE payout_id = $1)
           ORDER BY id FOR NO KEY UPDATE
         )
         UPDATE payment SET payout_due = true, updated_at = $2 FROM released WHERE payment.id = released.id",
    )
    .bind(id)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
