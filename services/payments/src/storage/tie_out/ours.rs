//! What we have of what Stripe has.

use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

use super::Day;
use crate::domain::money::CurrencyCode;
use crate::storage::unknown;

/// Something that Stripe has as well.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resource {
    /// Payments, by their PaymentIntent.
    Payment,
    /// Refunds.
    Refund,
    /// Disputes.
    Dispute,
    /// Payouts.
    Payout,
}

/// One of them, as we have it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ours {
    /// Id of the row.
    pub id: i64,
    /// Stripe's id.
    pub stripe_id: String,
    /// In which currency.
    pub currency: CurrencyCode,
    /// What moved by our word, in minor units; `None` while nothing has moved.
    pub moved_minor: Option<i64>,
    /// Whether it was taken back since: a refund or a payout that failed, a dispute whose amount we have again.
    pub is_undone: bool,
}

impl FromRow<'_, PgRow> for Ours {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            stripe_id: row.try_get("stripe_id")?,
            currency: CurrencyCode::new(row.try_get("currency")?).ok_or_else(|| unknown("currency"))?,
            moved_minor: row.try_get("moved_minor")?,
            is_undone: row.try_get("is_undone")?,
        })
    }
}

macro_rules! payments {
    () => {
        "SELECT id, stripe_payment_intent_id AS stripe_id, currency, false AS is_undone,
           CASE WHEN completed_at IS NOT NULL THEN amount_minor END AS moved_minor FROM payment WHERE "
    };
}
macro_rules! refunds {
    () => {
        "SELECT id, stripe_refund_id AS stripe_id, currency, status = 'failed' AS is_undone,
           CASE WHEN completed_at IS NOT NULL THEN amount_minor END AS moved_minor FROM refund WHERE "
    };
}
macro_rules! disputes {
    () => {
        "SELECT id, stripe_dispute_id AS stripe_id, currency, NOT is_withdrawn AS is_undone,
           amount_minor AS moved_minor FROM dispute WHERE "
    };
}
macro_rules! payouts {
    () => {
        "SELECT id, stripe_payout_id AS stripe_id, currency, status IN ('failed', 'canceled') AS is_undone,
           amount_minor AS moved_minor FROM payout WHERE "
    };
}

impl Resource {
    /// What a row of ours is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Refund => "refund",
            Self::Dispute => "dispute",
            Self::Payout => "payout",
        }
    }

    const fn by_stripe_id(self) -> &'static str {
        match self {
            Self::Payment => concat!(payments!(), "stripe_payment_intent_id = ANY ($1)"),
            Self::Refund => concat!(refunds!(), "stripe_refund_id = ANY ($1)"),
            Self::Dispute => concat!(disputes!(), "stripe_dispute_id = ANY ($1)"),
            Self::Payout => concat!(payouts!(), "stripe_payout_id = ANY ($1)"),
        }
    }

    const fn of_day(self) -> &'static str {
        match self {
            Self::Payment => concat!(
                payments!(),
                "completed_at >= $1 AND completed_at < $2 AND id <> ALL ($3) ORDER BY id"
            ),
            Self::Refund => concat!(
                refunds!(),
                "status = 'succeeded' AND completed_at >= $1 AND completed_at < $2 AND id <> ALL ($3) ORDER BY id"
            ),
            Self::Dispute => concat!(
                disputes!(),
                "created_at >= $1 AND created_at < $2 AND id <> ALL ($3) ORDER BY id"
            ),
            Self::Payout => concat!(
                payouts!(),
                "status = 'paid' AND paid_at >= $1 AND paid_at < $2 AND id <> ALL ($3) ORDER BY id"
            ),
        }
    }
}

/// Ours with these ids at Stripe.
///
/// # Errors
/// The database's.
pub async fn of_stripe(
    connection: &mut PgConnection,
    resource: Resource,
    stripe_ids: &[String],
) -> Result<Vec<Ours>, sqlx::Error> {
    sqlx::query_as(resource.by_stripe_id())
        .bind(stripe_ids)
        .fetch_all(connection)
        .await
}

/// Ours of a day but these.
///
/// # Errors
/// The database's.
pub async fn unseen(
    connection: &mut PgConnection,
    resource: Resource,
    day: Day,
    seen: &[i64],
) -> Result<Vec<Ours>, sqlx::Error> {
    sqlx::query_as(resource.of_day())
        .bind(day.from)
        .bind(day.until)
        .bind(seen)
        .fetch_all(connection)
        .await
}
