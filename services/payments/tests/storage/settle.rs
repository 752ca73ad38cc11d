//! The second statement of a charge.

use banyan_events::Event;
use futures::future::join_all;
use payments::{
    domain::{
        fee::fee,
        ledger::AccountKind,
        money::{CurrencyCode, Minor},
        payment::{ChargeResult, Outcome, Payment, PaymentStatus, Reason},
    },
    storage::charge::{NewCharge, Settlement, settle},
};
use sqlx::{Connection, PgConnection};
use time::Duration;
use uuid::Uuid;

use crate::stage::{NOW, Stage, charge_of, declined, settle_on, succeeded};

/// Everything that settling writes, as numbers of rows.
async fn rows(stage: &Stage) -> Vec<i64> {
    let mut rows = Vec::new();
    for count in [
        "SELECT count(*) FROM payment_status_change",
        "SELECT count(*) FROM fee",
        "SELECT count(*) FROM ledger_transaction",
        "SELECT count(*) FROM ledger_entry",
        "SELECT count(*) FROM ledger_account",
        "SELECT count(*) FROM outbox",
    ] {
        rows.push(stage.number(count).await);
    }
    rows
}

/// The events written, which must be so many.
async fn events<const N: usize>(stage: &Stage) -> [Event; N] {
    let rows: Vec<(String, String, serde_json::Value)> =
        sqlx::query_as("SELECT type, headers ->> 'dataschema', payload FROM outbox ORDER BY sequence")
            .fetch_all(&stage.pool)
            .await
            .unwrap();
    let events = rows
        .iter()
        .map(|(kind, schema, payload)| Event::decode(kind, schema, payload).unwrap());
    events.collect::<Vec<_>>().try_into().unwrap()
}

const BOOKED: &str = "SELECT concat_ws(' ', t.kind, a.kind, e.amount_minor, e.currency)
    FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id JOIN ledger_account a ON a.id = e.account_id
    ORDER BY t.kind, e.amount_minor DESC";
const CHANGES: &str = "SELECT concat_ws(' ', coalesce(from_status, '-'), to_status, reason) FROM payment_status_change ORDER BY id";
const ATTEMPTS: &str = "SELECT concat_ws(' ', number, operation, status, coalesce(error_code, '-')) FROM payment_attempt ORDER BY number";

#[tokio::test]
async fn a_completed_payment_is_booked_with_its_fee_and_announced() {
    let stage = Stage::new().await;
    let payment = stage.completed("k").await;
    assert_eq!(payment.status, PaymentStatus::Completed);
    assert_eq!(payment.completed_at, Some(NOW + Duration::SECOND));
    assert_eq!(
        stage.texts(BOOKED).await,
        [
            "charge stripe 1000 USD",
            "charge customer -1000 USD",
            "fee fees 59 USD",
            "fee stripe -59 USD"
        ]
    );
    assert_eq!(
        stage.texts(CHANGES).await,
        ["- pending charge", "pending completed charge"]
    );
    assert_eq!(stage.texts(ATTEMPTS).await, ["1 charge succeeded -"]);
    assert_eq!(
        stage
            .number("SELECT count(*) FROM payment WHERE payout_due")
            .await,
        1
    );
    let [Event::PaymentCompleted(event)] = events(&stage).await else {
        panic!("another event");
    };
    assert_eq!(
        (event.payment_id, event.user_id, event.amount_minor),
        (payment.id, 42, 1000)
    );
    assert_eq!(
        (event.currency.as_str(), event.payment_method_id),
        ("USD", Some(1))
    );
    assert_eq!(
        Some(event.stripe_payment_intent_id),
        payment.stripe_payment_intent_id
    );
    assert_eq!(Some(event.completed_at), payment.completed_at);
    assert_eq!(
        stage.texts("SELECT subject FROM outbox").await,
        [format!("payment/{}", payment.id)]
    );
    stage.assert_balanced().await;
}

#[tokio::test]
async fn settled_twice_nothing_changes() {
    let stage = Stage::new().await;
    let payment = stage.completed("k").await;
    let before = rows(&stage).await;
    for outcome in [
        succeeded(&payment),
        declined(&payment),
        Outcome::of(ChargeResult::Canceled),
        Outcome::of(ChargeResult::Unknown),
    ] {
        let settled = stage.settle_for(&payment, &outcome, Reason::Webhook).await;
        assert!(!settled.changed, "{outcome:?}");
        assert_eq!(settled.payment, payment);
    }
    assert_eq!(rows(&stage).await, before);
}

#[tokio::test]
async fn of_twenty_that_settle_at_once_one_does() {
    let stage = Stage::new().await;
    let payment = stage.begin(&charge_of("k")).await.payment;
    let settled = join_all((0..20).map(|_| {
        let (pool, payment) = (stage.pool.clone(), payment.clone());
        tokio::spawn(async move {
            let mut connection = pool.acquire().await.unwrap();
            let settled = settle_on(&mut connection, &payment, &succeeded(&payment), Reason::Webhook).await;
            assert_eq!(settled.payment.status, PaymentStatus::Completed);
            settled.changed
        })
    }))
    .await;
    assert_eq!(
        settled
            .into_iter()
            .filter(|changed| *changed.as_ref().unwrap())
            .count(),
        1
    );
    assert_eq!(rows(&stage).await, [2, 1, 2, 4, 3, 1]);
    stage.assert_balanced().await;
}

#[tokio::test]
async fn who_waits_for_a_settlement_decides_on_what_it_left() {
    let stage = Stage::new().await;
    let payment = stage.begin(&charge_of("k")).await.payment;
    let mut first = stage.connection().await;
    let mut transaction = first.begin().await.unwrap();
    settle_on(&mut transaction, &payment, &succeeded(&payment), Reason::Charge).await;
    let (url, late) = (stage.database.url.clone(), payment.clone());
    let slower = tokio::spawn(async move {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        settle_on(&mut connection, &late, &declined(&late), Reason::Reconcile).await
    });
    stage.somebody_waits().await;
    transaction.commit().await.unwrap();
    let slower = slower.await.unwrap();
    assert!(!slower.changed);
    assert_eq!(slower.payment.status, PaymentStatus::Completed);
    assert_eq!(stage.texts(ATTEMPTS).await, ["1 charge succeeded -"]);
    assert_eq!(rows(&stage).await, [2, 1, 2, 4, 3, 1]);
}

#[tokio::test]
async fn a_payment_that_failed_but_was_charged_after_all_is_completed() {
    let stage = Stage::new().await;
    let payment = stage.begin(&charge_of("k")).await.payment;
    let failed = stage.settle(&payment, &declined(&payment)).await;
    assert!(failed.changed);
    assert_eq!(failed.payment.status, PaymentStatus::Failed);
    assert_eq!(failed.payment.failure_code.as_deref(), Some("card_declined"));
    assert_eq!(stage.texts(ATTEMPTS).await, ["1 charge declined card_declined"]);
    assert_eq!(stage.number("SELECT count(*) FROM ledger_entry").await, 0);

    let late = stage
        .settle_for(&failed.payment, &succeeded(&payment), Reason::Webhook)
        .await;
    assert!(late.changed);
    assert_eq!(late.payment.status, PaymentStatus::Completed);
    assert_eq!(
        (&late.payment.failure_code, &late.payment.failure_message),
        (&None, &None)
    );
    assert_eq!(
        stage.texts(CHANGES).await,
        [
            "- pending charge",
            "pending failed charge",
            "failed completed webhook"
        ]
    );
    let [Event::PaymentFailed(first), Event::PaymentCompleted(_)] = events(&stage).await else {
        panic!("other events");
    };
    assert_eq!(
        (first.failure_code.as_str(), first.failure_message.as_str()),
        ("card_declined", "Your card was declined.")
    );
    stage.assert_balanced().await;
}

#[tokio::test]
async fn an_unknown_outcome_leaves_the_payment_pending() {
    let stage = Stage::new().await;
    let payment = stage.begin(&charge_of("k")).await.payment;
    let outcome = Outcome {
        code: Some("timeout".into()),
        ..Outcome::of(ChargeResult::Unknown)
    };
    let settled = stage.settle(&payment, &outcome).await;
    assert!(!settled.changed);
    assert_eq!(settled.payment, payment);
    assert_eq!(stage.texts(ATTEMPTS).await, ["1 charge unknown timeout"]);
    assert_eq!(rows(&stage).await, [1, 0, 0, 0, 0, 0]);
    // What is learned of the PaymentIntent alone is kept.
    let outcome = Outcome {
        intent_id: Some("pi_7".into()),
        ..Outcome::of(ChargeResult::Unknown)
    };
    let settled = stage.settle(&payment, &outcome).await;
    assert!(!settled.changed);
    assert_eq!(settled.payment.stripe_payment_intent_id.as_deref(), Some("pi_7"));
}

#[tokio::test]
async fn every_pair_of_status_and_result_settles_by_the_table() {
    let stage = Stage::new().await;
    let mut connection = stage.connection().await;
    for (place, status) in PaymentStatus::ALL.iter().enumerate() {
        for result in ChargeResult::ALL {
            let mut transaction = connection.begin().await.unwrap();
            let payment = bring_to(&mut transaction, *status, place).await;
            let outcome = Outcome {
                result: *result,
                ..succeeded(&payment)
            };
            let next = result.status().filter(|next| status.may_become(*next));
            let settled = settle_on(&mut transaction, &payment, &outcome, Reason::Webhook).await;
            assert_eq!(settled.changed, next.is_some(), "{status} {result}");
            assert_eq!(
                settled.payment.status,
                next.unwrap_or(*status),
                "{status} {result}"
            );
            let booked: i64 = sqlx::query_scalar("SELECT count(*) FROM ledger_transaction")
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
            assert_eq!(
                booked,
                if next == Some(PaymentStatus::Completed) {
                    2
                } else {
                    0
                },
                "{status} {result}"
            );
            // The deferred constraints are asked as well.
            sqlx::query("SET CONSTRAINTS ALL IMMEDIATE")
                .execute(&mut *transaction)
                .await
                .unwrap();
            transaction.rollback().await.unwrap();
        }
    }
}

/// A payment that was written in that status.
async fn bring_to(connection: &mut PgConnection, status: PaymentStatus, place: usize) -> Payment {
    use PaymentStatus as S;
    let is_completed = matches!(
        status,
        S::Completed | S::Refunded | S::PartiallyRefunded | S::Disputed
    );
    let refunded = match status {
        S::Refunded => 1000,
        S::PartiallyRefunded => 1,
        _ => 0,
    };
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO payment (user_id, customer_id, payment_method_id, currency, amount_minor, amount_refunded_minor, status, capture,
           amount_authorized_minor, idempotency_key, stripe_payment_intent_id, failure_code, completed_at)
         VALUES (42, 1, 1, 'USD', 1000, $1, $2, false, 1000, $3, 'pi_x', $4, $5) RETURNING id",
    )
    .bind(refunded)
    .bind(status.name())
    .bind(format!("k{place}"))
    .bind((status == S::Failed).then_some("card_declined"))
    .bind(is_completed.then_some(NOW))
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    payments::storage::payment::get(connection, id)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_part_is_captured_and_the_rest_given_free() {
    let stage = Stage::new().await;
    let charge = NewCharge {
        ownership: &payments::use_cases::OWNERSHIP,
        capture: false,
        ..charge_of("k")
    };
    let payment = stage.begin(&charge).await.payment;
    let reserved = Outcome {
        result: ChargeResult::RequiresCapture,
        ..succeeded(&payment)
    };
    let payment = stage.settle(&payment, &reserved).await.payment;
    assert_eq!(payment.amount_authorized, Some(Minor(1000)));
    stage
        .run("INSERT INTO payment_attempt (payment_id, number, operation, amount_minor, stripe_idempotency_key, started_at)
              SELECT id, 2, 'capture', 400, 'capture:' || id, now() FROM payment")
        .await;
    // That it is still reserved answers nothing, unless it is the answer to the capture.
    stage.settle_for(&payment, &reserved, Reason::Webhook).await;
    assert_eq!(
        stage.texts(ATTEMPTS).await,
        ["1 charge succeeded -", "2 capture started -"]
    );
    let captured = stage
        .settle_for(&payment, &succeeded(&payment), Reason::Capture)
        .await;
    assert!(captured.changed);
    assert_eq!(
        (captured.payment.amount, captured.payment.amount_authorized),
        (Minor(400), Some(Minor(1000)))
    );
    assert_eq!(
        stage.texts(ATTEMPTS).await,
        ["1 charge succeeded -", "2 capture succeeded -"]
    );
    assert_eq!(stage.balance(AccountKind::Customer).await, -400);
    let [Event::PaymentCompleted(event)] = events(&stage).await else {
        panic!("other events");
    };
    assert_eq!(event.amount_minor, 400);
}

#[tokio::test]
async fn what_stripe_says_it_took_counts_more_than_what_was_asked_for() {
    let stage = Stage::new().await;
    let charge = NewCharge {
        ownership: &payments::use_cases::OWNERSHIP,
        capture: false,
        ..charge_of("k")
    };
    let payment = stage.begin(&charge).await.payment;
    let reserved = Outcome {
        result: ChargeResult::RequiresCapture,
        ..succeeded(&payment)
    };
    stage.settle(&payment, &reserved).await;
    let taken = Outcome {
        received: Some(Minor(250)),
        ..succeeded(&payment)
    };
    let captured = stage.settle_for(&payment, &taken, Reason::Webhook).await;
    assert_eq!(captured.payment.amount, Minor(250));
}

#[tokio::test]
async fn fees_are_what_the_domain_says_in_every_currency() {
    let stage = Stage::new().await;
    let schedules: Vec<(String, i32, i64)> =
        sqlx::query_as("SELECT currency, percent_bp, fixed_minor FROM fee_schedule ORDER BY id")
            .fetch_all(&stage.pool)
            .await
            .unwrap();
    assert_eq!(schedules.len(), 11);
    for (code, percent_bp, fixed) in schedules {
        for amount in [1, 17, 1017, 1018, 99_999_999_999_999] {
            let key = format!("{code}{amount}");
            let charge = NewCharge {
                ownership: &payments::use_cases::OWNERSHIP,
                currency: CurrencyCode::new(&code).unwrap(),
                amount: Minor(amount),
                ..charge_of(&key)
            };
            let payment = stage.begin(&charge).await.payment;
            stage.settle(&payment, &succeeded(&payment)).await;
            let kept: Option<i64> = sqlx::query_scalar("SELECT amount_minor FROM fee WHERE payment_id = $1")
                .bind(payment.id)
                .fetch_optional(&stage.pool)
                .await
                .unwrap();
            assert_eq!(
                kept.unwrap_or_default(),
                fee(Minor(amount), percent_bp, Minor(fixed)).0,
                "{key}"
            );
        }
    }
    stage.assert_balanced().await;
}

#[tokio::test]
async fn the_newest_schedule_counts_that_has_begun() {
    let stage = Stage::new().await;
    stage
        .run(
            "INSERT INTO fee_schedule (currency, percent_bp, fixed_minor, valid_from)
              VALUES ('USD', 0, 100, '2021-01-01Z'), ('USD', 0, 900, '2999-01-01Z')",
        )
        .await;
    stage.completed("k").await;
    assert_eq!(stage.number("SELECT amount_minor FROM fee").await, 100);
}

#[tokio::test]
async fn a_payment_that_costs_nothing_has_no_fee() {
    let stage = Stage::new().await;
    stage
        .run("UPDATE fee_schedule SET percent_bp = 0, fixed_minor = 0")
        .await;
    stage.completed("k").await;
    assert_eq!(rows(&stage).await, [2, 0, 1, 2, 2, 1]);
    stage.run("DELETE FROM fee_schedule").await;
    stage.completed("l").await;
    assert_eq!(rows(&stage).await, [4, 0, 2, 4, 2, 2]);
}

#[tokio::test]
async fn first_charges_of_customers_at_once_share_the_houses_accounts() {
    let stage = Stage::new().await;
    let mut payments = Vec::new();
    for place in 0..20 {
        payments.push(stage.begin(&charge_of(&format!("k{place}"))).await.payment);
    }
    join_all(payments.into_iter().map(|payment| {
        let pool = stage.pool.clone();
        tokio::spawn(async move {
            let mut connection = pool.acquire().await.unwrap();
            settle_on(&mut connection, &payment, &succeeded(&payment), Reason::Charge).await
        })
    }))
    .await
    .into_iter()
    .for_each(|settled| assert!(settled.unwrap().changed));
    assert_eq!(stage.number("SELECT count(*) FROM ledger_account").await, 3);
    assert_eq!(stage.balance(AccountKind::Stripe).await, 20 * (1000 - 59));
    assert_eq!(stage.balance(AccountKind::Fees).await, 20 * 59);
    assert_eq!(stage.balance(AccountKind::Customer).await, -20 * 1000);
    stage.assert_balanced().await;
}

#[tokio::test]
async fn completed_charges_do_not_wait_for_each_other() {
    let stage = Stage::new().await;
    stage.completed("first, which makes the accounts").await;
    let (one, two) = (
        stage.begin(&charge_of("one")).await.payment,
        stage.begin(&charge_of("two")).await.payment,
    );
    let mut connection = stage.connection().await;
    let mut open = connection.begin().await.unwrap();
    settle_on(&mut open, &one, &succeeded(&one), Reason::Charge).await;
    // While that transaction is open, another of the same customer and currency ends.
    let mut other = stage.connection().await;
    sqlx::query("SET lock_timeout = '1s'")
        .execute(&mut *other)
        .await
        .unwrap();
    assert!(
        settle_on(&mut other, &two, &succeeded(&two), Reason::Charge)
            .await
            .changed
    );
    open.commit().await.unwrap();
    stage.assert_balanced().await;
}

#[tokio::test]
async fn a_payment_that_is_not_there_is_not_settled() {
    let stage = Stage::new().await;
    let payment = Payment {
        id: 1,
        ..stage.begin(&charge_of("k")).await.payment
    };
    let settlement = Settlement {
        payment: &payment,
        outcome: &succeeded(&payment),
        reason: Reason::Charge,
        event_id: Uuid::now_v7(),
        effect_owner: None,
        now: NOW,
    };
    let mut connection = stage.connection().await;
    assert_eq!(settle(&mut connection, &settlement).await.unwrap(), None);
    assert_eq!(rows(&stage).await, [1, 0, 0, 0, 0, 0]);
}
