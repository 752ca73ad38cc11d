//! Invoices and their lines.

use std::collections::HashMap;

use banyan_fail_points::fail_points;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;

use super::unknown;
use crate::domain::{
    invoice::{Invoice, InvoiceLine, InvoiceStatus, Totals, number},
    money::{CurrencyCode, Minor},
    subscription::Subscription,
};

/// An invoice to be made, open.
#[derive(Clone, Copy, Debug)]
pub struct NewInvoice<'a> {
    /// What it is for.
    pub subscription: &'a Subscription,
    /// The sums.
    pub totals: Totals,
    /// Start of the period, UTC.
    pub period_start: OffsetDateTime,
    /// Its end.
    pub period_end: OffsetDateTime,
    /// The positions, which sum to the subtotal.
    pub lines: &'a [InvoiceLine],
    /// The time, UTC.
    pub now: OffsetDateTime,
}

macro_rules! invoice_columns {
    () => {
        "id, number, user_id, subscription_id, payment_id, status, currency, subtotal_minor, discount_minor, total_minor, \
         period_start, period_end, created_at, paid_at"
    };
}

impl FromRow<'_, PgRow> for Invoice {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            number: row.try_get("number")?,
            user_id: row.try_get("user_id")?,
            subscription_id: row.try_get("subscription_id")?,
            payment_id: row.try_get("payment_id")?,
            status: InvoiceStatus::from_name(row.try_get("status")?)
                .ok_or_else(|| unknown("invoice.status"))?,
            currency: CurrencyCode::new(row.try_get("currency")?)
                .ok_or_else(|| unknown("invoice.currency"))?,
            totals: Totals {
                subtotal: Minor(row.try_get("subtotal_minor")?),
                discount: Minor(row.try_get("discount_minor")?),
                total: Minor(row.try_get("total_minor")?),
            },
            period_start: row.try_get("period_start")?,
            period_end: row.try_get("period_end")?,
            created_at: row.try_get("created_at")?,
            paid_at: row.try_get("paid_at")?,
        })
    }
}

/// Makes an invoice with its lines.
///
/// # Errors
/// The database's; the constraint `invoice_per_period` where the period was billed before.
pub async fn insert(connection: &mut PgConnection, new: &NewInvoice<'_>) -> Result<Invoice, sqlx::Error> {
    let sequence: i64 = sqlx::query_scalar("SELECT nextval('invoice_number')")
        .fetch_one(&mut *connection)
        .await?;
    let query = sqlx::query_as(concat!(
        "INSERT INTO invoice (number, user_id, subscription_id, status, currency, subtotal_minor, discount_minor, total_minor,
           period_start, period_end, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) RETURNING ",
        invoice_columns!()
    ))
    .bind(number(sequence))
    .bind(new.subscription.user_id)
    .bind(new.subscription.id)
    .bind(InvoiceStatus::Open.name())
    .bind(new.subscription.currency.as_str())
    .bind(new.totals.subtotal.0)
    .bind(new.totals.discount.0)
    .bind(new.totals.total.0)
    .bind(new.period_start)
    .bind(new.period_end)
    .bind(new.now);
    let invoice: Invoice = fail_points!("invoice.insert", query.fetch_one(&mut *connection).await)?;
    for line in new.lines {
        let query = sqlx::query(
            "INSERT INTO invoice_line (invoice_id, plan_id, description, amount_minor, period_start, period_end, proration)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(invoice.id)
        .bind(line.plan_id)
        .bind(&line.description)
        .bind(line.amount.0)
        .bind(line.period_start)
        .bind(line.period_end)
        .bind(line.proration);
        fail_points!("invoice_line.insert", query.execute(&mut *connection).await)?;
    }
    Ok(invoice)
}

/// The invoice of a subscription, which is locked, for the period that begins then.
///
/// # Errors
/// The database's.
pub async fn of_period(
    connection: &mut PgConnection,
    subscription_id: i64,
    period_start: OffsetDateTime,
) -> Result<Option<Invoice>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        invoice_columns!(),
        " FROM invoice WHERE subscription_id = $1 AND period_start = $2"
    ))
    .bind(subscription_id)
    .bind(period_start)
    .fetch_optional(connection)
    .await
}

/// What a subscription's plan cost for the period that begins then: its price after discount, zero where it was not paid.
///
/// # Errors
/// The database's.
pub async fn paid_for(
    connection: &mut PgConnection,
    subscription_id: i64,
    period_start: OffsetDateTime,
) -> Result<Minor, sqlx::Error> {
    let paid: Option<i64> = sqlx::query_scalar(
        "SELECT (SELECT coalesce(sum(amount_minor), 0)::bigint FROM invoice_line l
           WHERE l.invoice_id = i.id AND NOT l.proration) - i.discount_minor
         FROM invoice i WHERE i.subscription_id = $1 AND i.period_start = $2 AND i.status = 'paid'",
    )
    .bind(subscription_id)
    .bind(period_start)
    .fetch_optional(connection)
    .await?;
    Ok(Minor(paid.unwrap_or_default()))
}

/// The subscription that an invoice is for.
///
/// # Errors
/// The database's.
pub async fn subscription_of(
    connection: &mut PgConnection,
    invoice_id: i64,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT subscription_id FROM invoice WHERE id = $1")
        .bind(invoice_id)
        .fetch_optional(connection)
        .await
}

/// An invoice of a subscription that is locked, locked too.
///
/// # Errors
/// The database's.
pub async fn lock(connection: &mut PgConnection, id: i64) -> Result<Option<Invoice>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        invoice_columns!(),
        " FROM invoice WHERE id = $1 FOR NO KEY UPDATE"
    ))
    .bind(id)
    .fetch_optional(connection)
    .await
}

/// Changes the status of an invoice whose subscription is locked; one that is paid now was paid now.
///
/// # Errors
/// The database's.
pub async fn set_status(
    connection: &mut PgConnection,
    id: i64,
    status: InvoiceStatus,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query("UPDATE invoice SET status = $2, paid_at = $3, updated_at = $4 WHERE id = $1")
        .bind(id)
        .bind(status.name())
        .bind((status == InvoiceStatus::Paid).then_some(now))
        .bind(now);
    fail_points!("invoice.set_status", query.execute(connection).await)?;
    Ok(())
}

/// The open invoices of a subscription, which is locked, are not to be paid any more.
///
/// # Errors
/// The database's.
pub async fn void_open(
    connection: &mut PgConnection,
    subscription_id: i64,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE invoice SET status = 'void', updated_at = $2 WHERE subscription_id = $1 AND status = 'open'",
    )
    .bind(subscription_id)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// A user's invoices, newest first, after a position of that order.
///
/// # Errors
/// The database's.
pub async fn of_user(
    connection: &mut PgConnection,
    user_id: i64,
    after: Option<(OffsetDateTime, i64)>,
    limit: i64,
) -> Result<Vec<Invoice>, sqlx::Error> {
    // One statement per case: a condition that may be absent is planned for the worse of both.
    let query = match after {
        Some((at, id)) => sqlx::query_as(concat!(
            "SELECT ",
            invoice_columns!(),
            " FROM invoice WHERE user_id = $1 AND (created_at, id) < ($3, $4)
             ORDER BY created_at DESC, id DESC LIMIT $2"
        ))
        .bind(user_id)
        .bind(limit)
        .bind(at)
        .bind(id),
        None => sqlx::query_as(concat!(
            "SELECT ",
            invoice_columns!(),
            " FROM invoice WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2"
        ))
        .bind(user_id)
        .bind(limit),
    };
    query.fetch_all(connection).await
}

/// The lines of invoices, in the order in which they were written.
///
/// # Errors
/// The database's.
pub async fn lines_of(
    connection: &mut PgConnection,
    invoice_ids: &[i64],
) -> Result<HashMap<i64, Vec<InvoiceLine>>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT invoice_id, plan_id, description, amount_minor, period_start, period_end, proration
         FROM invoice_line WHERE invoice_id = ANY ($1) ORDER BY id",
    )
    .bind(invoice_ids)
    .fetch_all(connection)
    .await?;
    let mut lines: HashMap<i64, Vec<InvoiceLine>> = HashMap::with_capacity(invoice_ids.len());
    for row in rows {
        lines
            .entry(row.try_get("invoice_id")?)
            .or_default()
            .push(InvoiceLine {
                plan_id: row.try_get("plan_id")?,
                description: row.try_get("description")?,
                amount: Minor(row.try_get("amount_minor")?),
                period_start: row.try_get("period_start")?,
                period_end: row.try_get("period_end")?,
                proration: row.try_get("proration")?,
            });
    }
    Ok(lines)
}
