//! What both sides must have alike, table by table, in the words of the monolith. It knows nothing of the mapping.

use futures::{Stream, StreamExt as _};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::stage::{lines, session};

/// A table: what its rows are made of on either side, and where the service looks up how many minor units a major one has (`unit`).
struct Compared {
    name: &'static str,
    monolith: &'static str,
    service: &'static str,
    unit: &'static str,
}

/// One that is the same on both sides.
const fn same(name: &'static str, columns: &'static str) -> Compared {
    compared(name, columns, columns, "")
}

const fn compared(
    name: &'static str,
    monolith: &'static str,
    service: &'static str,
    unit: &'static str,
) -> Compared {
    Compared {
        name,
        monolith,
        service,
        unit,
    }
}

/// Of the row's own currency, if it has one.
const OWN: &str =
    "LEFT JOIN (SELECT code AS its, 10::numeric ^ exponent AS unit FROM currency) c ON its = t.currency";
const OF_PAYMENT: &str = "JOIN (SELECT p.id AS its, 10::numeric ^ c.exponent AS unit FROM payment p JOIN currency c ON c.code = p.currency) c
   ON its = t.payment_id";
const OF_PAYOUT: &str = "JOIN (SELECT p.id AS its, 10::numeric ^ c.exponent AS unit FROM payout p JOIN currency c ON c.code = p.currency) c
   ON its = t.payout_id";
const OF_INVOICE: &str = "JOIN (SELECT i.id AS its, 10::numeric ^ c.exponent AS unit FROM invoice i JOIN currency c ON c.code = i.currency) c
   ON its = t.invoice_id";

const COMPARED: [Compared; 23] = [
    compared(
        "currency",
        "id, code, name, decimals, is_active",
        "id, code, name, exponent, is_active",
        "",
    ),
    same("exchange_rate", "id, base, quote, rate, valid_on, created_at"),
    same("customer", "id, user_id, stripe_customer_id, created_at"),
    compared(
        "payment_method",
        "id, customer_id, stripe_payment_method_id, brand, last4, exp_month, exp_year, fingerprint, is_default, created_at, detached_at",
        "id, customer_id, stripe_payment_method_id, brand, last4, exp_month, exp_year, coalesce(fingerprint, ''), is_default, created_at,
         detached_at",
        "",
    ),
    compared(
        "payment",
        "id, user_id, customer_id, payment_method_id, currency, trim_scale(amount), trim_scale(amount_refunded), status, capture,
         trim_scale(amount_authorized), off_session, payout_due, description, idempotency_key, request_fingerprint,
         stripe_payment_intent_id, failure_code, failure_message, created_at, updated_at, completed_at",
        "id, user_id, customer_id, payment_method_id, currency, trim_scale(amount_minor / unit), trim_scale(amount_refunded_minor / unit),
         status, capture, trim_scale(amount_authorized_minor / unit), off_session, payout_due, coalesce(description, ''), idempotency_key,
         coalesce(request_fingerprint, ''), stripe_payment_intent_id, coalesce(failure_code, ''), coalesce(failure_message, ''),
         created_at, updated_at, completed_at",
        OWN,
    ),
    compared(
        "payment_attempt",
        "id, payment_id, number, operation, trim_scale(amount), stripe_idempotency_key, status, error_code, started_at, finished_at",
        "id, payment_id, number, operation, trim_scale(amount_minor / unit), stripe_idempotency_key, status, coalesce(error_code, ''),
         started_at, finished_at",
        OF_PAYMENT,
    ),
    compared(
        "payment_status_change",
        "id, payment_id, from_status, to_status, reason, created_at",
        "id, payment_id, coalesce(from_status, ''), to_status, coalesce(reason, ''), created_at",
        "",
    ),
    compared(
        "refund",
        "id, payment_id, trim_scale(amount), currency, status, reason, idempotency_key, request_fingerprint, stripe_refund_id,
         failure_code, started_at, finished_at, created_at, updated_at, completed_at",
        "id, payment_id, trim_scale(amount_minor / unit), currency, status, coalesce(reason, ''), idempotency_key,
         coalesce(request_fingerprint, ''), stripe_refund_id, coalesce(failure_code, ''), started_at, finished_at, created_at, updated_at,
         completed_at",
        OWN,
    ),
    compared(
        "dispute",
        "id, payment_id, stripe_dispute_id, trim_scale(amount), currency, reason, status, is_withdrawn, due_by, stripe_event_at,
         created_at, updated_at, closed_at",
        "id, payment_id, stripe_dispute_id, trim_scale(amount_minor / unit), currency, reason, status, is_withdrawn, due_by,
         stripe_event_at, created_at, updated_at, closed_at",
        OWN,
    ),
    same(
        "dispute_evidence",
        "id, dispute_id, kind, content, created_at, submitted_at",
    ),
    compared(
        "payout",
        "id, currency, trim_scale(amount), payment_count, status, stripe_payout_id, failure_code, started_at, created_at, updated_at,
         paid_at",
        "id, currency, trim_scale(amount_minor / unit), payment_count, status, stripe_payout_id, coalesce(failure_code, ''), started_at,
         created_at, updated_at, paid_at",
        OWN,
    ),
    compared(
        "payout_item",
        "id, payout_id, payment_id, trim_scale(amount), is_released, created_at",
        "id, payout_id, payment_id, trim_scale(amount_minor / unit), is_released, created_at",
        OF_PAYOUT,
    ),
    compared(
        "plan",
        "id, code, name, trim_scale(amount), currency, interval, is_active, created_at",
        "id, code, name, trim_scale(amount_minor / unit), currency, interval, is_active, created_at",
        OWN,
    ),
    compared(
        "coupon",
        "id, code, percent_off, trim_scale(amount_off), currency, duration, max_redemptions, valid_until, is_active, created_at",
        "id, code, percent_off, trim_scale(amount_off_minor / unit), currency, duration, max_redemptions, valid_until, is_active,
         created_at",
        OWN,
    ),
    same(
        "subscription",
        "id, user_id, customer_id, plan_id, payment_method_id, coupon_id, replaces_id, currency, status, idempotency_key,
         request_fingerprint, billing_anchor, current_period_start, current_period_end, cancel_at_period_end, next_billing_at,
         failed_attempts, created_at, updated_at, canceled_at",
    ),
    compared(
        "invoice",
        "id, number, user_id, subscription_id, payment_id, status, currency, trim_scale(subtotal), trim_scale(discount),
         trim_scale(total), period_start, period_end, created_at, updated_at, paid_at",
        "id, number, user_id, subscription_id, payment_id, status, currency, trim_scale(subtotal_minor / unit),
         trim_scale(discount_minor / unit), trim_scale(total_minor / unit), period_start, period_end, created_at, updated_at, paid_at",
        OWN,
    ),
    compared(
        "invoice_line",
        "id, invoice_id, plan_id, description, trim_scale(amount), period_start, period_end, proration",
        "id, invoice_id, plan_id, description, trim_scale(amount_minor / unit), period_start, period_end, proration",
        OF_INVOICE,
    ),
    compared(
        "fee_schedule",
        "id, currency, percent_bp, trim_scale(fixed), valid_from, created_at",
        "id, currency, percent_bp, trim_scale(fixed_minor / unit), valid_from, created_at",
        OWN,
    ),
    compared(
        "fee",
        "id, payment_id, schedule_id, trim_scale(amount), currency, created_at",
        "id, payment_id, schedule_id, trim_scale(amount_minor / unit), currency, created_at",
        OWN,
    ),
    same("ledger_account", "id, kind, currency, customer_id, created_at"),
    same(
        "ledger_transaction",
        "id, kind, payment_id, refund_id, dispute_id, payout_id, reverses_id, created_at",
    ),
    compared(
        "ledger_entry",
        "id, transaction_id, account_id, trim_scale(amount), currency, created_at",
        "id, transaction_id, account_id, trim_scale(amount_minor / unit), currency, created_at",
        OWN,
    ),
    compared(
        "stripe_webhook_event",
        "id, stripe_event_id, type, object_id, status, stripe_created_at, created_at, processed_at",
        "id, stripe_event_id, type, coalesce(object_id, ''), status, stripe_created_at, created_at, processed_at",
        "",
    ),
];

/// Compares all rows; how many there are.
pub(crate) async fn assert_equal(monolith: &str, service: &str) -> u64 {
    let (mut here, mut there) = (session(monolith).await, session(service).await);
    let mut rows = 0;
    for table in COMPARED {
        let name = table.name;
        let here = texts(
            &mut here,
            format!(
                "SELECT ROW({})::text FROM payments_{name} t ORDER BY t.id",
                table.monolith
            ),
        );
        let there = texts(
            &mut there,
            format!(
                "SELECT ROW({})::text FROM {name} t {} ORDER BY t.id",
                table.service, table.unit
            ),
        );
        futures::pin_mut!(here, there);
        let before = rows;
        loop {
            let pair = (here.next().await, there.next().await);
            if pair == (None, None) {
                break;
            }
            assert_eq!(pair.0, pair.1, "{name}, row {}", rows - before);
            rows += 1;
        }
        assert!(rows > before, "{name} is empty");
    }
    rows
}

/// On each side what is booked is whole, and the monolith's balances are the sums of their entries.
pub(crate) async fn assert_balanced(monolith: &str, service: &str) {
    let unbalanced = |table: &str, amount: &str| {
        format!(
            "SELECT t.id::text FROM {table}_transaction t LEFT JOIN {table}_entry e ON transaction_id = t.id
             GROUP BY t.id, currency HAVING coalesce(sum({amount}) <> 0, true) LIMIT 10"
        )
    };
    let balances = "SELECT concat_ws(' ', account.id, kind, account.currency, balance, total) FROM payments_ledger_account account
         LEFT JOIN (SELECT account_id, sum(amount) AS total FROM payments_ledger_entry GROUP BY 1) entries ON account_id = account.id
         WHERE balance <> coalesce(total, 0)";
    for (url, wrong) in [
        (monolith, unbalanced("payments_ledger", "amount")),
        (service, unbalanced("ledger", "amount_minor")),
        (monolith, balances.to_owned()),
    ] {
        assert_eq!(lines(url, &wrong).await, [""; 0], "{wrong}");
    }
}

fn texts(session: &mut PgConnection, sql: String) -> impl Stream<Item = String> + '_ {
    let told = sql.clone();
    let rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql)).fetch(session);
    rows.map(move |row| row.unwrap_or_else(|error| panic!("{error}: {told}")))
}
