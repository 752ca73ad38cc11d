//! What the schema refuses: each case is a change that would make a wrong state, and the constraint that stops it.

use std::collections::BTreeSet;

use banyan_db::{ErrorClass, classify};
use sqlx::{AssertSqlSafe, Connection};

use crate::stage::Stage;

/// Rows that are right. Payment 1 is pending, 2 completed, 3 reserved, 4 failed, 5 refunded in part; all of customer 1, user 42.
const BASE: &str = "
  INSERT INTO payment (id, user_id, customer_id, payment_method_id, currency, amount_minor, amount_refunded_minor, status, capture,
      amount_authorized_minor, idempotency_key, stripe_payment_intent_id, failure_code, completed_at) VALUES
    (1, 42, 1, 1, 'USD', 1000, 0, 'pending', true, NULL, 'k1', NULL, NULL, NULL),
    (2, 42, 1, 1, 'USD', 1000, 0, 'completed', true, NULL, 'k2', 'pi_2', NULL, now()),
    (3, 42, 1, 1, 'USD', 1000, 0, 'requires_capture', false, 1000, 'k3', 'pi_3', NULL, NULL),
    (4, 42, 1, 1, 'USD', 1000, 0, 'failed', true, NULL, 'k4', NULL, 'card_declined', NULL),
    (5, 42, 1, 1, 'USD', 1000, 250, 'partially_refunded', true, NULL, 'k5', 'pi_5', NULL, now());
  INSERT INTO payment_attempt (id, payment_id, number, operation, amount_minor, stripe_idempotency_key, status, started_at, finished_at)
    VALUES (1, 1, 1, 'charge', NULL, 's', 'started', now(), NULL), (2, 3, 1, 'charge', NULL, 's', 'succeeded', now(), now()),
      (3, 3, 2, 'capture', 400, 's', 'started', now(), NULL);
  INSERT INTO payment_status_change (id, payment_id, from_status, to_status, reason)
    VALUES (1, 1, NULL, 'pending', 'charge'), (2, 2, 'pending', 'completed', 'charge');
  INSERT INTO refund (id, payment_id, amount_minor, currency, status, idempotency_key, stripe_refund_id, completed_at) VALUES
    (1, 5, 250, 'USD', 'succeeded', 'r1', 're_1', now()), (2, 2, 5, 'USD', 'pending', 'r2', NULL, NULL),
    (3, 2, 5, 'USD', 'pending', NULL, 're_3', NULL);
  INSERT INTO dispute (id, payment_id, stripe_dispute_id, amount_minor, currency, reason, status, is_withdrawn, stripe_event_at)
    VALUES (1, 2, 'dp_1', 1000, 'USD', 'general', 'needs_response', true, now()),
      (2, 2, 'dp_2', 1000, 'USD', 'general', 'warning_needs_response', false, now());
  INSERT INTO dispute_evidence (id, dispute_id, kind, content) VALUES (1, 1, 'receipt', 'x'), (2, 1, 'refund_history', 'x');
  INSERT INTO payout (id, currency, amount_minor, payment_count, status, stripe_payout_id, paid_at)
    VALUES (1, 'USD', 941, 1, 'paid', 'po_1', now()), (2, 'USD', 941, 1, 'pending', NULL, NULL);
  INSERT INTO payout_item (id, payout_id, payment_id, amount_minor) VALUES (1, 1, 2, 941), (2, 1, 5, 1);
  INSERT INTO subscription (id, user_id, customer_id, plan_id, payment_method_id, currency, status, idempotency_key,
      request_fingerprint, billing_anchor, current_period_start, current_period_end, next_billing_at, failed_attempts, canceled_at) VALUES
    (1, 42, 1, 1, 1, 'USD', 'active', 's1', repeat('0', 64), now(), now(), now() + interval '1 month', now(), 0, NULL),
    (2, 42, 1, 2, 1, 'USD', 'incomplete', 's2', repeat('0', 64), now(), now(), now() + interval '1 month', now(), 0, NULL),
    (3, 42, 1, 2, 1, 'USD', 'canceled', 's3', repeat('0', 64), now(), now(), now() + interval '1 month', now(), 0, now()),
    (4, 43, 2, 1, 2, 'USD', 'active', 's4', repeat('0', 64), now(), now(), now() + interval '1 month', now(), 0, NULL);
  INSERT INTO invoice (id, number, user_id, subscription_id, payment_id, status, currency, subtotal_minor, discount_minor, total_minor,
      period_start, period_end, paid_at) VALUES
    (1, 'INV-1', 42, 1, 2, 'paid', 'USD', 1100, 100, 1000, '2026-01-01Z', '2026-02-01Z', now()),
    (2, 'INV-2', 42, 1, NULL, 'open', 'USD', 999, 0, 999, '2026-02-01Z', '2026-03-01Z', NULL);
  INSERT INTO invoice_line (id, invoice_id, plan_id, description, amount_minor, period_start, period_end, proration)
    VALUES (1, 1, 1, 'x', 1200, now(), now(), false), (2, 1, 1, 'x', -100, now(), now(), true);
  INSERT INTO fee (id, payment_id, schedule_id, amount_minor, currency) VALUES (1, 2, 11, 59, 'USD'), (2, 5, 11, 59, 'USD');
  INSERT INTO exchange_rate (id, base, quote, rate, valid_on)
    VALUES (1, 'USD', 'EUR', 0.9, '2026-01-01'), (2, 'USD', 'EUR', 0.9, '2026-01-02');
  INSERT INTO stripe_webhook_event (id, stripe_event_id, type, stripe_created_at) VALUES (1, 'evt_1', 'x', now()), (2, 'evt_2', 'x', now());
  INSERT INTO ledger_account (id, kind, currency, customer_id) VALUES (1, 'stripe', 'USD', NULL), (2, 'customer', 'USD', 1);";

/// Constraint and change.
const CASES: &[(&str, &str)] = &[
    // Currencies, customers, methods
    ("currency_code_form", "INSERT INTO currency (code, name, exponent) VALUES ('usd', 'x', 2)"),
    ("currency_code_key", "INSERT INTO currency (code, name, exponent) VALUES ('USD', 'x', 2)"),
    ("currency_exponent_range", "UPDATE currency SET exponent = 5 WHERE code = 'USD'"),
    ("currency_exponent_range", "UPDATE currency SET exponent = -1 WHERE code = 'USD'"),
    ("exchange_rate_per_day", "UPDATE exchange_rate SET valid_on = '2026-01-01' WHERE id = 2"),
    ("exchange_rate_positive", "UPDATE exchange_rate SET rate = 0 WHERE id = 1"),
    ("exchange_rate_of_two", "UPDATE exchange_rate SET quote = 'USD' WHERE id = 1"),
    ("exchange_rate_base_fkey", "UPDATE exchange_rate SET base = 'XXX' WHERE id = 1"),
    ("customer_user_id_key", "INSERT INTO customer (user_id, stripe_customer_id) VALUES (42, 'cus_3')"),
    ("customer_stripe_customer_id_key", "INSERT INTO customer (user_id, stripe_customer_id) VALUES (44, 'cus_1')"),
    ("customer_stripe_customer_id_not_empty", "UPDATE customer SET stripe_customer_id = '' WHERE id = 1"),
    ("payment_customer_of_user", "UPDATE customer SET user_id = 44 WHERE id = 1"),
    ("payment_method_stripe_payment_method_id_key", "UPDATE payment_method SET stripe_payment_method_id = 'pm_2' WHERE id = 1"),
    ("payment_method_exp_month_range", "UPDATE payment_method SET exp_month = 13 WHERE id = 1"),
    ("payment_method_exp_month_range", "UPDATE payment_method SET exp_month = 0 WHERE id = 1"),
    ("payment_method_fingerprint_not_empty", "UPDATE payment_method SET fingerprint = '' WHERE id = 1"),
    ("payment_method_default_is_attached", "UPDATE payment_method SET detached_at = now() WHERE id = 1"),
    ("payment_method_one_default",
        "INSERT INTO payment_method (customer_id, stripe_payment_method_id, brand, last4, exp_month, exp_year, is_default)
         VALUES (1, 'pm_3', 'visa', '4242', 1, 2030, true)"),
    // Payments
    ("payment_customer_of_user", "UPDATE payment SET user_id = 43 WHERE id = 1"),
    ("payment_method_of_customer", "UPDATE payment SET payment_method_id = 2 WHERE id = 1"),
    ("payment_currency_fkey", "UPDATE payment SET currency = 'XXX' WHERE id = 1"),
    ("payment_idempotency_key", "UPDATE payment SET idempotency_key = 'k2' WHERE id = 1"),
    ("payment_stripe_payment_intent_id_key", "UPDATE payment SET stripe_payment_intent_id = 'pi_2' WHERE id = 1"),
    ("payment_status_known", "UPDATE payment SET status = 'lost', stripe_payment_intent_id = 'pi_1' WHERE id = 1"),
    ("payment_amount_positive", "UPDATE payment SET amount_minor = 0 WHERE id = 1"),
    ("payment_refunded_within_amount", "UPDATE payment SET status = 'disputed', amount_refunded_minor = 1001 WHERE id = 2"),
    ("payment_refunded_within_amount", "UPDATE payment SET status = 'disputed', amount_refunded_minor = -1 WHERE id = 2"),
    ("payment_captured_within_authorized", "UPDATE payment SET amount_minor = 1001 WHERE id = 3"),
    ("payment_completed_at_fits", "UPDATE payment SET status = 'completed', stripe_payment_intent_id = 'pi_1' WHERE id = 1"),
    ("payment_completed_at_fits", "UPDATE payment SET completed_at = now() WHERE id = 1"),
    ("payment_completed_at_fits", "UPDATE payment SET completed_at = now() WHERE id = 4"),
    ("payment_completed_at_fits", "UPDATE payment SET completed_at = NULL WHERE id = 2"),
    ("payment_completed_at_fits", "UPDATE payment SET status = 'canceled' WHERE id = 2"),
    ("payment_at_stripe", "UPDATE payment SET status = 'completed', completed_at = now() WHERE id = 1"),
    ("payment_at_stripe", "UPDATE payment SET status = 'requires_action' WHERE id = 1"),
    ("payment_at_stripe", "UPDATE payment SET stripe_payment_intent_id = NULL WHERE id = 3"),
    ("payment_refunded_fits", "UPDATE payment SET status = 'refunded' WHERE id = 2"),
    ("payment_refunded_fits", "UPDATE payment SET status = 'partially_refunded' WHERE id = 2"),
    ("payment_refunded_fits", "UPDATE payment SET amount_refunded_minor = 1 WHERE id = 2"),
    ("payment_refunded_fits", "UPDATE payment SET amount_refunded_minor = 1000 WHERE id = 5"),
    ("payment_refunded_fits", "UPDATE payment SET amount_refunded_minor = 1 WHERE id = 1"),
    ("payment_reserved_fits", "UPDATE payment SET capture = true WHERE id = 3"),
    ("payment_reserved_fits", "UPDATE payment SET amount_authorized_minor = NULL WHERE id = 3"),
    ("payment_failure_fits", "UPDATE payment SET failure_code = NULL WHERE id = 4"),
    ("payment_failure_fits", "UPDATE payment SET failure_code = 'x' WHERE id = 2"),
    ("payment_failure_fits", "UPDATE payment SET failure_message = 'x' WHERE id = 1"),
    ("payment_payout_due_fits", "UPDATE payment SET payout_due = true WHERE id = 1"),
    ("payment_texts_not_empty", "UPDATE payment SET description = '' WHERE id = 1"),
    ("payment_texts_not_empty", "UPDATE payment SET idempotency_key = '' WHERE id = 1"),
    ("payment_texts_not_empty", "UPDATE payment SET stripe_payment_intent_id = '' WHERE id = 1"),
    ("payment_request_fingerprint_form", "UPDATE payment SET request_fingerprint = 'x' WHERE id = 1"),
    ("refund_payment_in_currency", "UPDATE payment SET currency = 'EUR' WHERE id = 5"),
    // Attempts and status changes
    ("payment_attempt_payment_id_fkey", "UPDATE payment_attempt SET payment_id = 99 WHERE id = 1"),
    ("payment_attempt_number", "UPDATE payment_attempt SET number = 1 WHERE id = 3"),
    ("payment_attempt_number_positive", "UPDATE payment_attempt SET number = 0 WHERE id = 1"),
    ("payment_attempt_operation_known", "UPDATE payment_attempt SET operation = 'x' WHERE id = 1"),
    ("payment_attempt_status_known", "UPDATE payment_attempt SET status = 'x', finished_at = now() WHERE id = 1"),
    ("payment_attempt_amount_fits", "UPDATE payment_attempt SET amount_minor = 1 WHERE id = 1"),
    ("payment_attempt_amount_fits", "UPDATE payment_attempt SET amount_minor = NULL WHERE id = 3"),
    ("payment_attempt_amount_fits", "UPDATE payment_attempt SET amount_minor = 0 WHERE id = 3"),
    ("payment_attempt_finished_at_fits", "UPDATE payment_attempt SET finished_at = now() WHERE id = 1"),
    ("payment_attempt_finished_at_fits", "UPDATE payment_attempt SET status = 'unknown' WHERE id = 1"),
    ("payment_attempt_finished_at_fits", "UPDATE payment_attempt SET status = 'succeeded' WHERE id = 1"),
    ("payment_attempt_texts_not_empty", "UPDATE payment_attempt SET stripe_idempotency_key = '' WHERE id = 1"),
    ("payment_status_change_payment_id_fkey", "UPDATE payment_status_change SET payment_id = 99 WHERE id = 1"),
    ("payment_status_change_from_known", "UPDATE payment_status_change SET from_status = 'x' WHERE id = 2"),
    ("payment_status_change_to_known", "UPDATE payment_status_change SET to_status = 'x' WHERE id = 2"),
    ("payment_status_change_is_one", "UPDATE payment_status_change SET from_status = 'completed' WHERE id = 2"),
    ("payment_status_change_reason_not_empty", "UPDATE payment_status_change SET reason = '' WHERE id = 2"),
    // Refunds
    ("refund_payment_in_currency", "UPDATE refund SET currency = 'EUR' WHERE id = 1"),
    ("refund_idempotency_key", "UPDATE refund SET payment_id = 2, idempotency_key = 'r2' WHERE id = 1"),
    ("refund_stripe_refund_id_key", "UPDATE refund SET stripe_refund_id = 're_1' WHERE id = 2"),
    ("refund_status_known", "UPDATE refund SET status = 'x' WHERE id = 2"),
    ("refund_reason_known", "UPDATE refund SET reason = 'x' WHERE id = 2"),
    ("refund_amount_positive", "UPDATE refund SET amount_minor = 0 WHERE id = 2"),
    ("refund_completed_at_fits", "UPDATE refund SET status = 'pending' WHERE id = 1"),
    ("refund_completed_at_fits", "UPDATE refund SET status = 'succeeded' WHERE id = 3"),
    ("refund_at_stripe", "UPDATE refund SET status = 'succeeded', completed_at = now() WHERE id = 2"),
    ("refund_failure_fits", "UPDATE refund SET failure_code = 'x' WHERE id = 2"),
    ("refund_fingerprint_fits", "UPDATE refund SET request_fingerprint = repeat('0', 64) WHERE id = 3"),
    ("refund_request_fingerprint_form", "UPDATE refund SET request_fingerprint = 'x' WHERE id = 2"),
    ("refund_texts_not_empty", "UPDATE refund SET idempotency_key = '' WHERE id = 2"),
    // Disputes
    ("dispute_payment_in_currency", "UPDATE dispute SET currency = 'EUR' WHERE id = 1"),
    ("dispute_stripe_dispute_id_key", "UPDATE dispute SET stripe_dispute_id = 'dp_2' WHERE id = 1"),
    ("dispute_amount_positive", "UPDATE dispute SET amount_minor = 0 WHERE id = 1"),
    ("dispute_status_known", "UPDATE dispute SET status = 'x' WHERE id = 2"),
    ("dispute_closed_at_fits", "UPDATE dispute SET status = 'lost' WHERE id = 1"),
    ("dispute_closed_at_fits", "UPDATE dispute SET closed_at = now() WHERE id = 1"),
    ("dispute_withdrawn_fits", "UPDATE dispute SET is_withdrawn = false WHERE id = 1"),
    ("dispute_withdrawn_fits", "UPDATE dispute SET status = 'won', closed_at = now() WHERE id = 1"),
    ("dispute_texts_not_empty", "UPDATE dispute SET reason = '' WHERE id = 1"),
    ("dispute_evidence_dispute_id_fkey", "UPDATE dispute_evidence SET dispute_id = 99 WHERE id = 1"),
    ("dispute_evidence_kind_once", "UPDATE dispute_evidence SET kind = 'receipt' WHERE id = 2"),
    ("dispute_evidence_kind_known", "UPDATE dispute_evidence SET kind = 'x' WHERE id = 2"),
    // Payouts
    ("payout_currency_fkey", "UPDATE payout SET currency = 'XXX' WHERE id = 1"),
    ("payout_stripe_payout_id_key", "UPDATE payout SET stripe_payout_id = 'po_1' WHERE id = 2"),
    ("payout_amount_positive", "UPDATE payout SET amount_minor = 0 WHERE id = 1"),
    ("payout_payment_count_positive", "UPDATE payout SET payment_count = 0 WHERE id = 1"),
    ("payout_status_known", "UPDATE payout SET status = 'x' WHERE id = 2"),
    ("payout_at_stripe", "UPDATE payout SET status = 'in_transit' WHERE id = 2"),
    ("payout_at_stripe", "UPDATE payout SET stripe_payout_id = NULL WHERE id = 1"),
    ("payout_paid_at_fits", "UPDATE payout SET paid_at = NULL WHERE id = 1"),
    ("payout_paid_at_fits", "UPDATE payout SET status = 'canceled' WHERE id = 1"),
    ("payout_failure_fits", "UPDATE payout SET failure_code = 'x' WHERE id = 1"),
    ("payout_texts_not_empty", "UPDATE payout SET stripe_payout_id = '' WHERE id = 2"),
    ("payout_item_payout_id_fkey", "UPDATE payout_item SET payout_id = 99 WHERE id = 1"),
    ("payout_item_payment_id_fkey", "UPDATE payout_item SET payment_id = 99 WHERE id = 1"),
    ("payout_item_payment_once", "UPDATE payout_item SET payment_id = 2 WHERE id = 2"),
    ("payout_item_not_zero", "UPDATE payout_item SET amount_minor = 0 WHERE id = 1"),
    // Plans, coupons, subscriptions
    ("plan_code_key", "UPDATE plan SET code = 'basic-monthly' WHERE id = 2"),
    ("plan_amount_positive", "UPDATE plan SET amount_minor = 0 WHERE id = 1"),
    ("plan_interval_known", "UPDATE plan SET interval = 'week' WHERE id = 1"),
    ("plan_currency_fkey", "UPDATE plan SET currency = 'XXX' WHERE id = 5"),
    ("coupon_code_key", "UPDATE coupon SET code = 'FIVEOFF' WHERE id = 1"),
    ("coupon_percent_or_amount", "UPDATE coupon SET percent_off = 101 WHERE id = 1"),
    ("coupon_percent_or_amount", "UPDATE coupon SET percent_off = NULL WHERE id = 1"),
    ("coupon_percent_or_amount", "UPDATE coupon SET percent_off = 5 WHERE id = 2"),
    ("coupon_percent_or_amount", "UPDATE coupon SET currency = NULL WHERE id = 2"),
    ("coupon_percent_or_amount", "UPDATE coupon SET amount_off_minor = 0 WHERE id = 2"),
    ("coupon_duration_known", "UPDATE coupon SET duration = 'x' WHERE id = 1"),
    ("coupon_redemptions_range", "UPDATE coupon SET max_redemptions = -1 WHERE id = 1"),
    ("coupon_currency_fkey", "UPDATE coupon SET currency = 'XXX' WHERE id = 2"),
    ("subscription_customer_of_user", "UPDATE subscription SET user_id = 44 WHERE id = 3"),
    ("subscription_plan_in_currency", "UPDATE subscription SET currency = 'EUR' WHERE id = 3"),
    ("subscription_method_of_customer", "UPDATE subscription SET payment_method_id = 2 WHERE id = 1"),
    ("subscription_coupon_id_fkey", "UPDATE subscription SET coupon_id = 99 WHERE id = 1"),
    ("subscription_replaces_own", "UPDATE subscription SET replaces_id = 4 WHERE id = 2"),
    ("subscription_replaces_another", "UPDATE subscription SET replaces_id = 2 WHERE id = 2"),
    ("subscription_idempotency_key", "UPDATE subscription SET idempotency_key = 's1' WHERE id = 2"),
    ("subscription_one_per_currency", "UPDATE subscription SET status = 'active' WHERE id = 2"),
    ("subscription_one_per_currency",
        "UPDATE subscription SET status = 'past_due', failed_attempts = 1, canceled_at = NULL WHERE id = 3"),
    ("subscription_one_incomplete", "UPDATE subscription SET status = 'incomplete', canceled_at = NULL WHERE id = 3"),
    ("subscription_status_known", "UPDATE subscription SET status = 'x' WHERE id = 1"),
    ("subscription_period_not_empty", "UPDATE subscription SET current_period_end = current_period_start WHERE id = 1"),
    ("subscription_canceled_at_fits", "UPDATE subscription SET status = 'canceled' WHERE id = 1"),
    ("subscription_canceled_at_fits", "UPDATE subscription SET canceled_at = now() WHERE id = 1"),
    ("subscription_failed_attempts_fit", "UPDATE subscription SET status = 'past_due' WHERE id = 1"),
    ("subscription_failed_attempts_fit", "UPDATE subscription SET failed_attempts = 1 WHERE id = 1"),
    ("subscription_idempotency_key_not_empty", "UPDATE subscription SET idempotency_key = '' WHERE id = 1"),
    ("subscription_request_fingerprint_form", "UPDATE subscription SET request_fingerprint = '' WHERE id = 1"),
    // Invoices
    ("invoice_number_key", "UPDATE invoice SET number = 'INV-1' WHERE id = 2"),
    ("invoice_number_not_empty", "UPDATE invoice SET number = '' WHERE id = 2"),
    ("invoice_payment_id_key", "UPDATE invoice SET payment_id = 2 WHERE id = 2"),
    ("invoice_subscription_of_user", "UPDATE invoice SET user_id = 43 WHERE id = 2"),
    ("invoice_subscription_of_user", "UPDATE invoice SET currency = 'EUR' WHERE id = 2"),
    ("invoice_payment_in_currency", "UPDATE invoice SET payment_id = 99 WHERE id = 2"),
    ("invoice_per_period", "UPDATE invoice SET period_start = '2026-01-01Z' WHERE id = 2"),
    ("invoice_status_known", "UPDATE invoice SET status = 'x' WHERE id = 2"),
    ("invoice_total_fits", "UPDATE invoice SET total_minor = 998 WHERE id = 2"),
    ("invoice_total_fits", "UPDATE invoice SET discount_minor = -1, total_minor = 1000 WHERE id = 2"),
    ("invoice_total_fits", "UPDATE invoice SET discount_minor = 1000, total_minor = -1 WHERE id = 2"),
    ("invoice_period_not_empty", "UPDATE invoice SET period_end = period_start WHERE id = 2"),
    ("invoice_paid_at_fits", "UPDATE invoice SET paid_at = NULL WHERE id = 1"),
    ("invoice_paid_at_fits", "UPDATE invoice SET paid_at = now() WHERE id = 2"),
    ("invoice_paid_by_payment", "UPDATE invoice SET status = 'paid', paid_at = now() WHERE id = 2"),
    ("invoice_line_invoice_id_fkey", "UPDATE invoice_line SET invoice_id = 99 WHERE id = 1"),
    ("invoice_line_plan_id_fkey", "UPDATE invoice_line SET plan_id = 99 WHERE id = 1"),
    ("invoice_line_sign_fits", "UPDATE invoice_line SET amount_minor = -1 WHERE id = 1"),
    ("invoice_line_sign_fits", "UPDATE invoice_line SET amount_minor = 1 WHERE id = 2"),
    // Fees
    ("fee_schedule_from", "INSERT INTO fee_schedule (currency, percent_bp, fixed_minor, valid_from) VALUES ('USD', 1, 1, '2020-01-01Z')"),
    ("fee_schedule_range", "UPDATE fee_schedule SET percent_bp = 10001 WHERE id = 1"),
    ("fee_schedule_range", "UPDATE fee_schedule SET fixed_minor = -1 WHERE id = 1"),
    ("fee_schedule_currency_fkey", "UPDATE fee_schedule SET currency = 'XXX' WHERE id = 1"),
    ("fee_payment_id_key", "UPDATE fee SET payment_id = 2 WHERE id = 2"),
    ("fee_payment_in_currency", "UPDATE fee SET payment_id = 99 WHERE id = 2"),
    ("fee_schedule_in_currency", "UPDATE fee SET schedule_id = 5 WHERE id = 1"),
    ("fee_amount_positive", "UPDATE fee SET amount_minor = 0 WHERE id = 1"),
    // Ledger accounts; the rest of the ledger has tests of its own
    ("ledger_account_once", "INSERT INTO ledger_account (kind, currency) VALUES ('stripe', 'USD')"),
    ("ledger_account_once", "INSERT INTO ledger_account (kind, currency, customer_id) VALUES ('customer', 'USD', 1)"),
    ("ledger_account_kind_known", "INSERT INTO ledger_account (kind, currency) VALUES ('cash', 'USD')"),
    ("ledger_account_customer_fits", "INSERT INTO ledger_account (kind, currency) VALUES ('customer', 'USD')"),
    ("ledger_account_customer_fits", "INSERT INTO ledger_account (kind, currency, customer_id) VALUES ('bank', 'USD', 1)"),
    ("ledger_account_currency_fkey", "INSERT INTO ledger_account (kind, currency) VALUES ('bank', 'XXX')"),
    ("ledger_account_customer_id_fkey", "INSERT INTO ledger_account (kind, currency, customer_id) VALUES ('customer', 'USD', 99)"),
    // Webhooks
    ("stripe_webhook_event_stripe_event_id_key", "UPDATE stripe_webhook_event SET stripe_event_id = 'evt_2' WHERE id = 1"),
    ("stripe_webhook_event_status_known", "UPDATE stripe_webhook_event SET status = 'x', processed_at = now() WHERE id = 1"),
    ("stripe_webhook_event_processed_at_fits", "UPDATE stripe_webhook_event SET status = 'processed' WHERE id = 1"),
    ("stripe_webhook_event_processed_at_fits", "UPDATE stripe_webhook_event SET processed_at = now() WHERE id = 1"),
    ("stripe_webhook_event_texts_not_empty", "UPDATE stripe_webhook_event SET object_id = '' WHERE id = 1"),
    // Tie-out
    ("tie_out_difference_differs", "INSERT INTO tie_out_difference (day, run_id, kind, object, expected_minor, actual_minor, found_at) VALUES ('2026-03-01', gen_random_uuid(), 'charge_at_stripe', 'payment/1', 5, 5, now())"),
    ("tie_out_difference_kind_known", "INSERT INTO tie_out_difference (day, run_id, kind, object, expected_minor, found_at) VALUES ('2026-03-01', gen_random_uuid(), 'x', 'payment/1', 5, now())"),
];

#[tokio::test]
async fn each_wrong_state_is_refused_by_the_constraint_that_is_about_it() {
    let stage = Stage::new().await;
    stage.run(BASE).await;
    let mut connection = stage.connection().await;
    let mut wrong = Vec::new();
    for (constraint, change) in CASES {
        let mut transaction = connection.begin().await.unwrap();
        let done = sqlx::raw_sql(AssertSqlSafe(*change))
            .execute(&mut *transaction)
            .await;
        let refused = done.map_err(|error| classify(&error)).err();
        if refused != Some(ErrorClass::Constraint((*constraint).to_owned())) {
            wrong.push(format!("{change}: {refused:?}, not {constraint}"));
        }
        transaction.rollback().await.unwrap();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn every_check_of_the_schema_is_among_the_cases() {
    let stage = Stage::new().await;
    let checks: BTreeSet<String> = stage
        .texts(
            "SELECT conname::text FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace
               AND conname !~ '^(outbox|ledger_transaction|ledger_entry|idempotency|ownership)'",
        )
        .await
        .into_iter()
        .collect();
    assert!(checks.len() > 60);
    let tried: BTreeSet<String> = CASES
        .iter()
        .map(|(constraint, _)| (*constraint).to_owned())
        .collect();
    assert_eq!(
        checks.difference(&tried).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
}

#[tokio::test]
async fn the_inventory_has_its_23_tables_and_ids_that_both_sides_can_give_out() {
    let stage = Stage::new().await;
    let tables = [
        "currency",
        "exchange_rate",
        "customer",
        "payment_method",
        "payment",
        "payment_attempt",
        "payment_status_change",
        "refund",
        "dispute",
        "dispute_evidence",
        "payout",
        "payout_item",
        "ledger_account",
        "ledger_transaction",
        "ledger_entry",
        "fee_schedule",
        "fee",
        "plan",
        "subscription",
        "invoice",
        "invoice_line",
        "coupon",
        "stripe_webhook_event",
    ];
    let found = stage
        .texts(
            "SELECT table_name::text FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'id'
               AND identity_generation = 'BY DEFAULT' AND identity_start = (1::bigint << 40)::text",
        )
        .await;
    let (expected, found): (BTreeSet<&str>, BTreeSet<&str>) = (
        tables.into_iter().collect(),
        found.iter().map(String::as_str).collect(),
    );
    assert_eq!(found, expected);
}
