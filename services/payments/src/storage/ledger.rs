//! The ledger: booking, taking back, and what it says.

use banyan_fail_points::fail_points;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::unknown;
use crate::domain::{
    ledger::{AccountKind, TransactionKind},
    money::{CurrencyCode, Minor},
};

/// CTEs that follow one named `wanted (kind, currency, customer_id, at)`: the accounts wanted, each found or made, as `account (id, kind)`.
///
/// An account that another transaction is making at this moment cannot be seen; the insert waits for that transaction, and its
/// update, which changes nothing, returns the row. In the order of their kinds, so that two that make the same accounts cannot wait for
/// each other. The look-ups are subqueries, so that each is an index scan however many customers there are.
macro_rules! accounts_of_wanted {
    () => {
        "found AS (
           SELECT w.*, CASE WHEN w.customer_id IS NULL
             THEN (SELECT a.id FROM ledger_account a
               WHERE a.kind = w.kind AND a.currency = w.currency AND a.customer_id IS NULL)
             ELSE (SELECT a.id FROM ledger_account a
               WHERE a.kind = w.kind AND a.currency = w.currency AND a.customer_id = w.customer_id) END AS id
           FROM wanted w
         ), made AS (
           INSERT INTO ledger_account (kind, currency, customer_id, created_at)
           SELECT kind, currency, customer_id, at FROM found WHERE id IS NULL ORDER BY kind
           ON CONFLICT ON CONSTRAINT ledger_account_once DO UPDATE SET kind = excluded.kind
           RETURNING id, kind
         ), account AS (
           SELECT id, kind FROM found WHERE id IS NOT NULL UNION ALL SELECT id, kind FROM made
         )"
    };
}
pub(super) use accounts_of_wanted;

/// What a movement of money was for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum About {
    /// A charge or a fee: the payment.
    Payment {
        /// Id of the payment.
        payment_id: i64,
    },
    /// A refund of a payment.
    Refund {
        /// Id of the payment.
        payment_id: i64,
        /// Id of the refund.
        refund_id: i64,
    },
    /// A dispute of a payment.
    Dispute {
        /// Id of the payment.
        payment_id: i64,
        /// Id of the dispute.
        dispute_id: i64,
    },
    /// A payout.
    Payout {
        /// Id of the payout.
        payout_id: i64,
    },
}

/// A movement of money to be booked.
#[derive(Clone, Copy, Debug)]
pub struct Booking {
    /// What happened.
    pub kind: TransactionKind,
    /// How much, more than zero.
    pub amount: Minor,
    /// In which currency.
    pub currency: CurrencyCode,
    /// Whose account is meant where a customer's is.
    pub customer_id: i64,
    /// What it was for.
    pub about: About,
}

/// Books a movement of money, in the caller's transaction and by one statement; the id of the ledger transaction. Completed charges and
/// their fees are booked by [`super::charge::settle`].
///
/// # Errors
/// The database's; a constraint (`ledger_transaction_…_once`) where the same was booked before.
pub async fn book(
    connection: &mut PgConnection,
    booking: &Booking,
    now: OffsetDateTime,
) -> Result<i64, sqlx::Error> {
    let entries = booking.kind.entries(booking.amount);
    let (mut payment, mut refund, mut dispute, mut payout) = (None, None, None, None);
    match booking.about {
        About::Payment { payment_id } => payment = Some(payment_id),
        About::Refund {
            payment_id,
            refund_id,
        } => (payment, refund) = (Some(payment_id), Some(refund_id)),
        About::Dispute {
            payment_id,
            dispute_id,
        } => (payment, dispute) = (Some(payment_id), Some(dispute_id)),
        About::Payout { payout_id } => payout = Some(payout_id),
    }
    let query = sqlx::query_scalar(concat!(
        "WITH side AS (
           SELECT * FROM unnest($1::text[], $2::bigint[]) AS s (kind, amount_minor)
         ), wanted AS (
           SELECT kind, $3::varchar AS currency, CASE WHEN kind = 'customer' THEN $4::bigint END AS customer_id,
             $5::timestamptz AS at
           FROM side
         ), ",
        accounts_of_wanted!(),
        ", booked AS (
           INSERT INTO ledger_transaction (kind, payment_id, refund_id, dispute_id, payout_id, created_at)
           VALUES ($6, $7, $8, $9, $10, $5) RETURNING id
         ), entry AS (
           INSERT INTO ledger_entry (transaction_id, account_id, amount_minor, currency, created_at)
           SELECT b.id, a.id, s.amount_minor, $3, $5 FROM booked b, side s JOIN account a USING (kind)
         )
         SELECT id FROM booked"
    ))
    .bind(entries.map(|entry| entry.account.name()))
    .bind(entries.map(|entry| entry.amount.0))
    .bind(booking.currency.as_str())
    .bind(booking.customer_id)
    .bind(now)
    .bind(booking.kind.name())
    .bind(payment)
    .bind(refund)
    .bind(dispute)
    .bind(payout);
    fail_points!("ledger.book", query.fetch_one(connection).await)
}

/// Takes a ledger transaction back by one with the opposite entries; its id. `None` where there is no such transaction, it was taken
/// back before, or it took another back.
///
/// # Errors
/// The database's.
pub async fn reverse(
    connection: &mut PgConnection,
    transaction_id: i64,
    now: OffsetDateTime,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH booked AS (
           INSERT INTO ledger_transaction (kind, payment_id, refund_id, dispute_id, payout_id, reverses_id, created_at)
           SELECT 'reversal', payment_id, refund_id, dispute_id, payout_id, id, $2
           FROM ledger_transaction WHERE id = $1 AND kind <> 'reversal'
           ON CONFLICT (reverses_id) DO NOTHING RETURNING id
         ), entry AS (
           INSERT INTO ledger_entry (transaction_id, account_id, amount_minor, currency, created_at)
           SELECT b.id, e.account_id, -e.amount_minor, e.currency, $2
           FROM booked b, ledger_entry e WHERE e.transaction_id = $1
         )
         SELECT id FROM booked",
    )
    .bind(transaction_id)
    .bind(now)
    .fetch_optional(connection)
    .await
}

/// The balance of an account: the sum of its entries. `customer_id` for a customer's account, `None` for one of the house. Zero where there is
/// no such account yet.
///
/// # Errors
/// The database's.
pub async fn balance(
    connection: &mut PgConnection,
    kind: AccountKind,
    currency: CurrencyCode,
    customer_id: Option<i64>,
) -> Result<Minor, sqlx::Error> {
    let balance: Option<i64> = sqlx::query_scalar(
        "SELECT balance_minor FROM ledger_account_balance
         WHERE kind = $1 AND currency = $2 AND customer_id IS NOT DISTINCT FROM $3",
    )
    .bind(kind.name())
    .bind(currency.as_str())
    .bind(customer_id)
    .fetch_optional(connection)
    .await?;
    Ok(Minor(balance.unwrap_or_default()))
}

/// What was booked for one user's payments on one kind of account by one kind of movement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Booked {
    /// In which currency.
    pub currency: CurrencyCode,
    /// On which account.
    pub account: AccountKind,
    /// By which movement; one that was taken back counts as nothing.
    pub kind: TransactionKind,
    /// The sum of the entries.
    pub sum: Minor,
}

/// All that was booked for a user's payments, by currency, account and movement.
///
/// # Errors
/// The database's.
pub async fn booked_for(connection: &mut PgConnection, user_id: i64) -> Result<Vec<Booked>, sqlx::Error> {
    let rows: Vec<(String, String, String, i64)> = sqlx::query_as(
        "SELECT e.currency, a.kind, coalesce(undone.kind, t.kind), sum(e.amount_minor)::bigint
         FROM payment p
         JOIN ledger_transaction t ON t.payment_id = p.id
         JOIN ledger_entry e ON e.transaction_id = t.id
         JOIN ledger_account a ON a.id = e.account_id
         LEFT JOIN ledger_transaction undone ON undone.id = t.reverses_id
         WHERE p.user_id = $1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )
    .bind(user_id)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(currency, account, kind, sum)| {
            Ok(Booked {
                currency: CurrencyCode::new(&currency).ok_or_else(|| unknown("ledger_entry.currency"))?,
                account: AccountKind::from_name(&account).ok_or_else(|| unknown("ledger_account.kind"))?,
                kind: TransactionKind::from_name(&kind).ok_or_else(|| unknown("ledger_transaction.kind"))?,
                sum: Minor(sum),
            })
        })
        .collect()
}
