//! Disputes. The payment's lock is what the disputes of one payment, and its refunds, queue at.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::unknown;
use crate::domain::{
    dispute::{DisputeStatus, Effect, EvidenceKind},
    money::Minor,
    payment::{Payment, PaymentStatus, Reason},
};

/// A dispute as it was last known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Known {
    /// Id of the row.
    pub id: i64,
    /// The payment.
    pub payment_id: i64,
    /// How much is disputed. It stays what it was when the dispute came in: that is what was booked.
    pub amount: Minor,
    /// Where it stands.
    pub status: DisputeStatus,
    /// Whether Stripe keeps the amount from us.
    pub is_withdrawn: bool,
    /// What was applied last.
    pub effect: Effect,
}

/// A dispute as Stripe has it.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// `dp_…`
    pub stripe_id: &'a str,
    /// How much, more than zero.
    pub amount: Minor,
    /// Why, in Stripe's words.
    pub reason: &'a str,
    /// Where it stands.
    pub status: DisputeStatus,
    /// Until when evidence is taken, UTC.
    pub due_by: Option<OffsetDateTime>,
    /// When it got there, UTC.
    pub at: OffsetDateTime,
}

/// The dispute with that id at Stripe, as the payment's lock lets it be seen.
///
/// # Errors
/// The database's.
pub async fn known(connection: &mut PgConnection, stripe_id: &str) -> Result<Option<Known>, sqlx::Error> {
    let row: Option<(i64, i64, i64, String, bool, OffsetDateTime)> = sqlx::query_as(
        "SELECT id, payment_id, amount_minor, status, is_withdrawn, stripe_event_at FROM dispute
         WHERE stripe_dispute_id = $1",
    )
    .bind(stripe_id)
    .fetch_optional(connection)
    .await?;
    row.map(|(id, payment_id, amount, status, is_withdrawn, at)| {
        let status = DisputeStatus::from_name(&status).ok_or_else(|| unknown("dispute.status"))?;
        Ok(Known {
            id,
            payment_id,
            amount: Minor(amount),
            status,
            is_withdrawn,
            effect: Effect::new(at, status),
        })
    })
    .transpose()
}

/// Notes a dispute that is new to us; its id.
///
/// # Errors
/// The database's.
pub async fn open(
    connection: &mut PgConnection,
    payment: &Payment,
    found: &Found<'_>,
    is_withdrawn: bool,
    now: OffsetDateTime,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO dispute (payment_id, stripe_dispute_id, amount_minor, currency, reason, status, is_withdrawn, due_by,
           stripe_event_at, created_at, updated_at, closed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11) RETURNING id",
    )
    .bind(payment.id)
    .bind(found.stripe_id)
    .bind(found.amount.0)
    .bind(payment.currency.as_str())
    .bind(found.reason)
    .bind(found.status.name())
    .bind(is_withdrawn)
    .bind(found.due_by)
    .bind(found.at)
    .bind(now)
    .bind(found.status.is_closed().then_some(now))
    .fetch_one(connection)
    .await
}

/// Brings a dispute to where Stripe has it.
///
/// # Errors
/// The database's.
pub async fn advance(
    connection: &mut PgConnection,
    id: i64,
    found: &Found<'_>,
    is_withdrawn: bool,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE dispute SET status = $2, is_withdrawn = $3, due_by = $4, stripe_event_at = $5, updated_at = $6, closed_at = $7
         WHERE id = $1",
    )
    .bind(id)
    .bind(found.status.name())
    .bind(is_withdrawn)
    .bind(found.due_by)
    .bind(found.at)
    .bind(now)
    .bind(found.status.is_closed().then_some(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether a payment has a dispute that shows, see [`DisputeStatus::is_shown`].
///
/// # Errors
/// The database's.
pub async fn is_disputed(connection: &mut PgConnection, payment_id: i64) -> Result<bool, sqlx::Error> {
    let shown: Vec<&str> = DisputeStatus::ALL
        .iter()
        .filter(|status| status.is_shown())
        .map(|status| status.name())
        .collect();
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM dispute WHERE payment_id = $1 AND status = ANY ($2))")
        .bind(payment_id)
        .bind(shown)
        .fetch_one(connection)
        .await
}

/// Gives a payment the status that its disputes call for, and has the next payout look at it again.
///
/// # Errors
/// The database's.
pub async fn show(
    connection: &mut PgConnection,
    payment: &Payment,
    status: PaymentStatus,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH changed AS (
           INSERT INTO payment_status_change (payment_id, from_status, to_status, reason, created_at)
           SELECT $1, $2, $3, $4, $5 WHERE $2 <> $3
         )
         UPDATE payment SET status = $3, payout_due = true, updated_at = $5 WHERE id = $1",
    )
    .bind(payment.id)
    .bind(payment.status.name())
    .bind(status.name())
    .bind(Reason::Dispute.name())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Amounts and moments of the refunds of a payment that succeeded.
///
/// # Errors
/// The database's.
pub async fn refunds_of(
    connection: &mut PgConnection,
    payment_id: i64,
) -> Result<Vec<(Minor, OffsetDateTime)>, sqlx::Error> {
    let rows: Vec<(i64, OffsetDateTime)> = sqlx::query_as(
        "SELECT amount_minor, completed_at FROM refund WHERE payment_id = $1 AND status = 'succeeded' ORDER BY id",
    )
    .bind(payment_id)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(amount, at)| (Minor(amount), at)).collect())
}

/// Keeps what speaks for us.
///
/// # Errors
/// The database's.
pub async fn keep_evidence(
    connection: &mut PgConnection,
    dispute_id: i64,
    evidence: &[(EvidenceKind, String)],
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let (kinds, contents): (Vec<&str>, Vec<&str>) = evidence
        .iter()
        .map(|(kind, content)| (kind.name(), content.as_str()))
        .unzip();
    sqlx::query(
        "INSERT INTO dispute_evidence (dispute_id, kind, content, created_at)
         SELECT $1, kind, content, $4 FROM unnest($2::text[], $3::text[]) AS e (kind, content)",
    )
    .bind(dispute_id)
    .bind(kinds)
    .bind(contents)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}
