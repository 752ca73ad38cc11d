//! Our own tables against the ledger.
//!
//! Each statement compares all that either side touched on the day: a booking that is missing is found from the table, one too many from the
//! ledger. What was taken back by a reversal counts as not booked. The conditions on `kind` are written so that they imply those of the
//! ledger's partial indexes.

use sqlx::PgConnection;

use super::Day;
use crate::domain::{
    money::CurrencyCode,
    tie_out::{Difference, DifferenceKind},
};
use crate::storage::unknown;

/// What a transaction's entries on one kind of account sum to, unless it was taken back. `$of` names the transactions.
macro_rules! booked {
    ($account:literal, $of:literal) => {
        concat!(
            "(SELECT sum(e.amount_minor)::bigint FROM ledger_transaction t
               JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id
               WHERE ",
            $of,
            " AND a.kind = '",
            $account,
            "' AND NOT EXISTS (SELECT FROM ledger_transaction r WHERE r.reverses_id = t.id))"
        )
    };
}

/// What of the ledger the day touched, by one of its columns.
macro_rules! touched {
    ($column:literal) => {
        concat!(
            "SELECT ",
            $column,
            " FROM ledger_transaction WHERE ",
            $column,
            " IS NOT NULL AND created_at >= $1 AND created_at < $2"
        )
    };
}

/// The differing rows of `compared (id, currency, expected, actual)`, beside how many there are in all.
macro_rules! differing {
    ($($compared:expr),+) => {
        concat!(
            "WITH ", $($compared,)+
            " SELECT n.compared, d.id, d.currency, d.expected, d.actual
             FROM (SELECT count(*) AS compared FROM compared) n
             LEFT JOIN (SELECT * FROM compared WHERE expected IS DISTINCT FROM actual) d ON true ORDER BY d.id"
        )
    };
}

const CHARGES: &str = differing!(
    "wanted (id) AS (
       SELECT id FROM payment WHERE completed_at >= $1 AND completed_at < $2 UNION ",
    touched!("payment_id"),
    "), compared AS MATERIALIZED (
       SELECT p.id, p.currency, CASE WHEN p.completed_at IS NOT NULL THEN p.amount_minor END AS expected, ",
    booked!("stripe", "t.payment_id = p.id AND t.kind = 'charge'"),
    " AS actual FROM payment p JOIN wanted USING (id))"
);

const FEES: &str = differing!(
    "wanted (id) AS (
       SELECT id FROM payment WHERE completed_at >= $1 AND completed_at < $2 UNION ",
    touched!("payment_id"),
    "), compared AS MATERIALIZED (
       SELECT p.id, p.currency, (SELECT f.amount_minor FROM fee f WHERE f.payment_id = p.id) AS expected, ",
    booked!("fees", "t.payment_id = p.id AND t.kind = 'fee'"),
    " AS actual FROM payment p JOIN wanted USING (id))"
);

const REFUNDS: &str = differing!(
    "wanted (id) AS (
       SELECT id FROM refund WHERE completed_at >= $1 AND completed_at < $2 UNION ",
    touched!("refund_id"),
    "), compared AS MATERIALIZED (
       SELECT r.id, r.currency, CASE r.status WHEN 'succeeded' THEN r.amount_minor ELSE 0 END AS expected, coalesce(",
    booked!(
        "customer",
        "t.refund_id = r.id AND t.kind IN ('refund', 'refund_failed')"
    ),
    ", 0) AS actual FROM refund r JOIN wanted USING (id))"
);

const DISPUTES: &str = differing!(
    "wanted (id) AS (
       SELECT id FROM dispute WHERE updated_at >= $1 AND updated_at < $2 UNION ",
    touched!("dispute_id"),
    "), compared AS MATERIALIZED (
       SELECT d.id, d.currency, CASE WHEN d.is_withdrawn THEN d.amount_minor ELSE 0 END AS expected, -coalesce(",
    booked!(
        "stripe",
        "t.dispute_id = d.id AND t.kind IN ('dispute_opened', 'dispute_won')"
    ),
    ", 0) AS actual FROM dispute d JOIN wanted USING (id))"
);

const PAYOUTS: &str = differing!(
    "wanted (id) AS (
       SELECT id FROM payout WHERE paid_at >= $1 AND paid_at < $2 UNION ",
    touched!("payout_id"),
    "), compared AS MATERIALIZED (
       SELECT p.id, p.currency, CASE p.status WHEN 'paid' THEN p.amount_minor ELSE 0 END AS expected, coalesce(",
    booked!(
        "bank",
        "t.payout_id = p.id AND t.kind IN ('payout', 'payout_failed')"
    ),
    ", 0) AS actual FROM payout p JOIN wanted USING (id))"
);

/// A transaction without entries has no sum at all.
const BALANCES: &str = differing!(
    "compared AS MATERIALIZED (
       SELECT t.id, e.currency, 0::bigint AS expected, sum(e.amount_minor)::bigint AS actual
       FROM ledger_transaction t LEFT JOIN ledger_entry e ON e.transaction_id = t.id
       WHERE t.created_at >= $1 AND t.created_at < $2 GROUP BY t.id, e.currency)"
);

const CHECKS: [(DifferenceKind, &str, &str); 6] = [
    (DifferenceKind::ChargeInLedger, "payment", CHARGES),
    (DifferenceKind::FeeInLedger, "payment", FEES),
    (DifferenceKind::RefundInLedger, "refund", REFUNDS),
    (DifferenceKind::DisputeInLedger, "dispute", DISPUTES),
    (DifferenceKind::PayoutInLedger, "payout", PAYOUTS),
    (DifferenceKind::LedgerUnbalanced, "ledger_transaction", BALANCES),
];

/// A row of [`differing`].
type Row = (i64, Option<i64>, Option<String>, Option<i64>, Option<i64>);

/// Compares our tables with the ledger: how many things, and which do not agree.
///
/// # Errors
/// The database's.
pub async fn books(connection: &mut PgConnection, day: Day) -> Result<(i64, Vec<Difference>), sqlx::Error> {
    let (mut compared, mut differences) = (0, Vec::new());
    for (kind, table, sql) in CHECKS {
        let rows: Vec<Row> = sqlx::query_as(sql)
            .bind(day.from)
            .bind(day.until)
            .fetch_all(&mut *connection)
            .await?;
        compared += rows.first().map_or(0, |row| row.0);
        for (_, id, currency, expected_minor, actual_minor) in rows {
            let Some(id) = id else { continue };
            let code = |text: String| CurrencyCode::new(&text).ok_or_else(|| unknown("currency"));
            differences.push(Difference {
                kind,
                object: format!("{table}/{id}"),
                currency: currency.map(code).transpose()?,
                expected_minor,
                actual_minor,
            });
        }
    }
    Ok((compared, differences))
}
