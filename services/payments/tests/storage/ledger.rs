//! The ledger: what the database refuses, what can be booked, taken back and read.

use banyan_db::{ErrorClass, classify};
use payments::{
    domain::{
        ledger::{AccountKind, TransactionKind},
        money::Minor,
        payment::Payment,
    },
    storage::ledger::{About, Booking, book, booked_for, reverse},
};
use sqlx::AssertSqlSafe;

use crate::stage::{CUSTOMER, NOW, Stage, USER, usd};

/// Runs statements as one transaction; the constraint that refused them.
async fn refused(stage: &Stage, sql: &str) -> Option<String> {
    let done = sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; {sql}; COMMIT")))
        .execute(&mut stage.connection().await.detach())
        .await;
    match classify(&done.err()?) {
        ErrorClass::Constraint(name) => Some(name),
        other => panic!("{other:?}: {sql}"),
    }
}

/// A ledger transaction 1 for payment 1 of 10.00 USD, with accounts 1 (stripe), 2 (fees), 3 (customer) and 4 (stripe in EUR).
const BASE: &str = "
    INSERT INTO payment (id, user_id, customer_id, payment_method_id, currency, amount_minor, status, idempotency_key,
      stripe_payment_intent_id, completed_at) VALUES (1, 42, 1, 1, 'USD', 1000, 'completed', 'k1', 'pi_1', now()),
      (2, 42, 1, 1, 'USD', 1000, 'completed', 'k2', 'pi_2', now());
    INSERT INTO ledger_account (id, kind, currency, customer_id)
      VALUES (1, 'stripe', 'USD', NULL), (2, 'fees', 'USD', NULL), (3, 'customer', 'USD', 1), (4, 'stripe', 'EUR', NULL);
    BEGIN;
    INSERT INTO ledger_transaction (id, kind, payment_id) VALUES (1, 'charge', 1);
    INSERT INTO ledger_entry (transaction_id, account_id, amount_minor, currency) VALUES (1, 1, 1000, 'USD'), (1, 3, -1000, 'USD');
    COMMIT";

#[tokio::test]
async fn the_database_refuses_what_does_not_balance_or_changes_what_did() {
    let stage = Stage::new().await;
    stage.run(BASE).await;
    let new = "INSERT INTO ledger_transaction (id, kind, payment_id) VALUES (2, 'charge', 2)";
    let entries = |values: &str| {
        format!(
            "{new}; INSERT INTO ledger_entry (transaction_id, account_id, amount_minor, currency) VALUES {values}"
        )
    };
    let more = "INSERT INTO ledger_entry (transaction_id, account_id, amount_minor, currency) VALUES ";
    for (constraint, sql) in [
        ("ledger_transaction_not_empty", new.to_owned()),
        ("ledger_transaction_balanced", entries("(2, 1, 1, 'USD')")),
        (
            "ledger_transaction_balanced",
            entries("(2, 1, 1000, 'USD'), (2, 3, -999, 'USD')"),
        ),
        // Balanced together, but not in each currency.
        (
            "ledger_transaction_balanced",
            entries("(2, 4, 1000, 'EUR'), (2, 3, -1000, 'USD')"),
        ),
        // Balanced together, but not in each transaction.
        (
            "ledger_transaction_balanced",
            entries("(2, 1, 1000, 'USD'), (1, 3, -1000, 'USD')"),
        ),
        ("ledger_entry_not_zero", entries("(2, 1, 0, 'USD')")),
        (
            "ledger_entry_account_in_currency",
            entries("(2, 1, 5, 'EUR'), (2, 3, -5, 'EUR')"),
        ),
        (
            "ledger_transaction_whole",
            format!("{more} (1, 1, 5, 'USD'), (1, 3, -5, 'USD')"),
        ),
        (
            "ledger_transaction_whole",
            format!(
                "{}; {more} (2, 1, 5, 'USD'), (2, 3, -5, 'USD')",
                entries("(2, 1, 5, 'USD'), (2, 3, -5, 'USD')")
            ),
        ),
        ("ledger_append_only", "DELETE FROM ledger_entry".into()),
        (
            "ledger_append_only",
            "UPDATE ledger_entry SET amount_minor = -amount_minor".into(),
        ),
        ("ledger_append_only", "UPDATE ledger_entry SET id = id".into()),
        ("ledger_append_only", "TRUNCATE ledger_entry".into()),
        ("ledger_append_only", "DELETE FROM ledger_transaction".into()),
        (
            "ledger_append_only",
            "UPDATE ledger_transaction SET created_at = now()".into(),
        ),
        ("ledger_append_only", "TRUNCATE ledger_transaction CASCADE".into()),
        (
            "ledger_append_only",
            "UPDATE ledger_account SET kind = 'bank' WHERE id = 1".into(),
        ),
        (
            "ledger_entry_account_in_currency",
            "DELETE FROM ledger_account WHERE id = 1".into(),
        ),
    ] {
        assert_eq!(refused(&stage, &sql).await.as_deref(), Some(constraint), "{sql}");
    }
    // And takes what does.
    let several = "(2, 1, 1000, 'USD'), (2, 2, -59, 'USD'), (2, 3, -941, 'USD')";
    assert_eq!(refused(&stage, &entries(several)).await, None);
    stage.assert_balanced().await;
}

#[tokio::test]
async fn each_thing_is_booked_once_and_says_what_it_was_for() {
    let stage = Stage::new().await;
    stage.run(BASE).await;
    stage
        .run(
            "INSERT INTO refund (id, payment_id, amount_minor, currency) VALUES (1, 1, 5, 'USD');
             INSERT INTO dispute (id, payment_id, stripe_dispute_id, amount_minor, currency, reason, status, stripe_event_at)
             VALUES (1, 1, 'dp_1', 5, 'USD', 'general', 'warning_needs_response', now());
             INSERT INTO payout (id, currency, amount_minor, payment_count) VALUES (1, 'USD', 5, 1);",
        )
        .await;
    let transaction = |id: i64, columns: &str, values: &str| {
        format!(
            "INSERT INTO ledger_transaction (id, kind, {columns}) VALUES ({id}, {values});
             INSERT INTO ledger_entry (transaction_id, account_id, amount_minor, currency) VALUES ({id}, 1, 5, 'USD'), ({id}, 3, -5, 'USD')"
        )
    };
    for (columns, values) in [
        ("payment_id, refund_id", "'refund', 1, 1"),
        ("payment_id, refund_id", "'refund_failed', 1, 1"),
        ("payment_id, dispute_id", "'dispute_opened', 1, 1"),
        ("payout_id", "'payout', 1"),
        ("payment_id", "'fee', 1"),
    ] {
        let id = 10 + stage.number("SELECT count(*) FROM ledger_transaction").await;
        assert_eq!(
            refused(&stage, &transaction(id, columns, values)).await,
            None,
            "{values}"
        );
    }
    for (constraint, columns, values) in [
        ("ledger_transaction_charge_once", "payment_id", "'charge', 1"),
        ("ledger_transaction_charge_once", "payment_id", "'fee', 1"),
        (
            "ledger_transaction_refund_once",
            "payment_id, refund_id",
            "'refund', 1, 1",
        ),
        (
            "ledger_transaction_refund_once",
            "payment_id, refund_id",
            "'refund_failed', 1, 1",
        ),
        (
            "ledger_transaction_dispute_once",
            "payment_id, dispute_id",
            "'dispute_opened', 1, 1",
        ),
        ("ledger_transaction_payout_once", "payout_id", "'payout', 1"),
        (
            "ledger_transaction_about_fits",
            "payment_id, refund_id",
            "'charge', 2, 1",
        ),
        ("ledger_transaction_about_fits", "payment_id", "'refund', 2"),
        ("ledger_transaction_about_fits", "payment_id", "'dispute_won', 2"),
        ("ledger_transaction_about_fits", "payment_id", "'payout', 2"),
        ("ledger_transaction_kind_known", "payment_id", "'gift', 2"),
        ("ledger_transaction_reversal_fits", "payment_id", "'reversal', 2"),
        (
            "ledger_transaction_reversal_fits",
            "payment_id, reverses_id",
            "'charge', 2, 1",
        ),
        // It is a reversal by name, but its entries are others.
        (
            "ledger_transaction_mirrors",
            "payment_id, reverses_id",
            "'reversal', 1, 1",
        ),
    ] {
        assert_eq!(
            refused(&stage, &transaction(99, columns, values))
                .await
                .as_deref(),
            Some(constraint),
            "{values}"
        );
    }
}

#[tokio::test]
async fn the_sync_may_write_row_by_row() {
    let stage = Stage::new().await;
    let sql = "SET LOCAL session_replication_role = replica;
        INSERT INTO ledger_entry (id, transaction_id, account_id, amount_minor, currency) VALUES (1, 1, 1, 5, 'USD');
        INSERT INTO ledger_entry (id, transaction_id, account_id, amount_minor, currency) VALUES (2, 1, 2, -5, 'USD');
        INSERT INTO ledger_transaction (id, kind, payment_id) VALUES (1, 'charge', 1)";
    assert_eq!(refused(&stage, sql).await, None);
    assert_eq!(stage.number("SELECT count(*) FROM ledger_entry").await, 2);
}

fn booking(kind: TransactionKind, amount: i64, about: About) -> Booking {
    Booking {
        kind,
        amount: Minor(amount),
        currency: usd(),
        customer_id: CUSTOMER,
        about,
    }
}

async fn booked_refund(stage: &Stage, payment: &Payment) -> i64 {
    let refund_id: i64 = sqlx::query_scalar(
        "INSERT INTO refund (payment_id, amount_minor, currency) VALUES ($1, 250, 'USD') RETURNING id",
    )
    .bind(payment.id)
    .fetch_one(&stage.pool)
    .await
    .unwrap();
    let about = About::Refund {
        payment_id: payment.id,
        refund_id,
    };
    book(
        &mut *stage.connection().await,
        &booking(TransactionKind::Refund, 250, about),
        NOW,
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn balances_are_the_sums_of_the_entries() {
    let stage = Stage::new().await;
    assert_eq!(stage.balance(AccountKind::Stripe).await, 0);
    let payment = stage.completed("k").await;
    booked_refund(&stage, &payment).await;
    stage
        .run("INSERT INTO payout (id, currency, amount_minor, payment_count) VALUES (1, 'USD', 691, 1)")
        .await;
    let payout = booking(TransactionKind::Payout, 691, About::Payout { payout_id: 1 });
    book(&mut *stage.connection().await, &payout, NOW).await.unwrap();
    for (kind, balance) in [
        (AccountKind::Stripe, 0),
        (AccountKind::Bank, 691),
        (AccountKind::Fees, 59),
        (AccountKind::Customer, -750),
        (AccountKind::Disputes, 0),
    ] {
        assert_eq!(stage.balance(kind).await, balance, "{kind}");
    }
    stage.assert_balanced().await;
    let twice = book(&mut *stage.connection().await, &payout, NOW).await;
    assert_eq!(
        classify(&twice.unwrap_err()),
        ErrorClass::Constraint("ledger_transaction_payout_once".into())
    );
    assert_eq!(stage.balance(AccountKind::Bank).await, 691);
}

#[tokio::test]
async fn a_transaction_is_taken_back_once() {
    let stage = Stage::new().await;
    let payment = stage.completed("k").await;
    let refund = booked_refund(&stage, &payment).await;
    let mut connection = stage.connection().await;
    let back = reverse(&mut connection, refund, NOW).await.unwrap().unwrap();
    assert_eq!(stage.balance(AccountKind::Customer).await, -1000);
    assert_eq!(
        reverse(&mut connection, refund, NOW).await.unwrap(),
        None,
        "a second time"
    );
    assert_eq!(
        reverse(&mut connection, back, NOW).await.unwrap(),
        None,
        "what took back"
    );
    assert_eq!(reverse(&mut connection, 1, NOW).await.unwrap(), None, "unknown");
    stage.assert_balanced().await;
}

#[tokio::test]
async fn what_was_booked_for_a_user_leaves_out_what_was_taken_back() {
    let stage = Stage::new().await;
    let payment = stage.completed("k").await;
    let sums = || async {
        let booked = booked_for(&mut *stage.connection().await, USER).await.unwrap();
        booked
            .into_iter()
            .filter(|row| row.account == AccountKind::Customer)
            .map(|row| (row.kind, row.sum.0))
            .collect::<Vec<_>>()
    };
    let refund = booked_refund(&stage, &payment).await;
    assert_eq!(
        sums().await,
        [(TransactionKind::Charge, -1000), (TransactionKind::Refund, 250)]
    );
    reverse(&mut *stage.connection().await, refund, NOW)
        .await
        .unwrap();
    assert_eq!(
        sums().await,
        [(TransactionKind::Charge, -1000), (TransactionKind::Refund, 0)]
    );
    assert_eq!(booked_for(&mut *stage.connection().await, 43).await.unwrap(), []);
}
