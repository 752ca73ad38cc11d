//! Payments of invoices. No client asked for them, so they have no fingerprint; their key names the invoice.

use banyan_fail_points::fail_points;
use sqlx::{FromRow, PgConnection, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{
    invoice::{Invoice, payment_key},
    payment::{Payment, PaymentStatus, Reason},
    stripe_key,
    subscription::Subscription,
};
use crate::storage::payment::payment_columns;

/// Notes a payment of an invoice before Stripe is asked: payment, first attempt and status change, and the invoice's latest payment.
/// `id` makes its key one that cannot be guessed.
///
/// # Errors
/// The database's.
pub async fn begin(
    connection: &mut PgConnection,
    invoice: &Invoice,
    subscription: &Subscription,
    off_session: bool,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<Payment, sqlx::Error> {
    let key = payment_key(invoice.id, id);
    let query = sqlx::query_as(concat!(
        "WITH begun AS (
           INSERT INTO payment (user_id, customer_id, payment_method_id, currency, amount_minor, off_session, description,
             idempotency_key, status, created_at, updated_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) RETURNING *
         ), attempt AS (
           INSERT INTO payment_attempt (payment_id, number, operation, stripe_idempotency_key, status, started_at)
           SELECT id, 1, 'charge', $11, 'started', $10 FROM begun
         ), change AS (
           INSERT INTO payment_status_change (payment_id, to_status, reason, created_at)
           SELECT id, status, $12, $10 FROM begun
         ), billed AS (
           UPDATE invoice SET payment_id = begun.id, updated_at = $10 FROM begun WHERE invoice.id = $13
         )
         SELECT ",
        payment_columns!(),
        " FROM begun"
    ))
    .bind(invoice.user_id)
    .bind(subscription.customer_id)
    .bind(subscription.payment_method_id)
    .bind(invoice.currency.as_str())
    .bind(invoice.totals.total.0)
    .bind(off_session)
    .bind(format!("Invoice {}", invoice.number))
    .bind(&key)
    .bind(PaymentStatus::Pending.name())
    .bind(now)
    .bind(stripe_key::charge(invoice.user_id, &key))
    .bind(Reason::Invoice.name())
    .bind(invoice.id);
    fail_points!("invoice_payment.begin", query.fetch_one(connection).await)
}

/// The first payment of a subscription, and when the newest call to Stripe for it began that nobody has written the end of, UTC. `None`
/// where the first invoice was one of nothing.
///
/// # Errors
/// The database's.
pub async fn first_of(
    connection: &mut PgConnection,
    subscription_id: i64,
) -> Result<Option<(Payment, Option<OffsetDateTime>)>, sqlx::Error> {
    // A first payment that fails is not followed by another, so the first invoice has it still.
    let row = sqlx::query(
        "SELECT p.*, (SELECT max(a.started_at) FROM payment_attempt a
             WHERE a.payment_id = p.id AND a.status = 'started') AS running_since
         FROM invoice i JOIN payment p ON p.id = i.payment_id
         WHERE i.subscription_id = $1 ORDER BY i.period_start LIMIT 1",
    )
    .bind(subscription_id)
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok((Payment::from_row(&row)?, row.try_get("running_since")?)))
        .transpose()
}

/// Notes that a payment is to be given back which came too late: a refund of all of it that nobody has asked Stripe for yet.
///
/// # Errors
/// The database's.
pub async fn give_back(
    connection: &mut PgConnection,
    payment: &Payment,
    id: Uuid,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO refund (payment_id, amount_minor, currency, idempotency_key, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $5)",
    )
    .bind(payment.id)
    .bind(payment.amount.0)
    .bind(payment.currency.as_str())
    .bind(format!("unwanted:{id}"))
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
