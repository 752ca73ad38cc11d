//! The first statement of a charge.

use futures::future::join_all;
use payments::{
    domain::{
        money::{CurrencyCode, Minor},
        payment::PaymentStatus,
    },
    storage::{
        charge::{Begin, NewCharge, begin},
        customer,
    },
};
use sqlx::{Connection, PgConnection};

use crate::stage::{FINGERPRINT, METHOD, NOW, Stage, USER, charge_of};

#[tokio::test]
async fn a_charge_begins_with_its_attempt_and_what_stripe_is_to_be_told() {
    let stage = Stage::new().await;
    let kwd = CurrencyCode::new("KWD").unwrap();
    let begun = stage
        .begin(&NewCharge {
            ownership: &payments::use_cases::OWNERSHIP,
            currency: kwd,
            amount: Minor(1250),
            capture: false,
            description: "Order 7",
            ..charge_of("k")
        })
        .await;
    assert_eq!(begun.stripe_customer_id, "cus_1");
    assert_eq!(begun.stripe_payment_method_id.as_deref(), Some("pm_1"));
    let payment = begun.payment;
    assert!(payment.id >= 1 << 40, "{}", payment.id);
    assert_eq!(
        (payment.user_id, payment.customer_id, payment.payment_method_id),
        (USER, 1, Some(METHOD))
    );
    assert_eq!(
        (payment.currency, payment.amount, payment.capture),
        (kwd, Minor(1250), false)
    );
    assert_eq!(payment.status, PaymentStatus::Pending);
    assert_eq!(payment.description.as_deref(), Some("Order 7"));
    assert_eq!(payment.request_fingerprint.as_deref(), Some(FINGERPRINT));
    assert_eq!(
        (payment.created_at, payment.updated_at, payment.completed_at),
        (NOW, NOW, None)
    );
    assert_eq!(
        stage
            .texts("SELECT concat_ws(' ', number, operation, stripe_idempotency_key, status) FROM payment_attempt")
            .await,
        ["1 charge charge:42:k started"]
    );
    assert_eq!(
        stage
            .texts("SELECT concat_ws(' ', coalesce(from_status, '-'), to_status, reason) FROM payment_status_change")
            .await,
        ["- pending charge"]
    );
}

#[tokio::test]
async fn of_fifty_requests_with_one_key_exactly_one_begins() {
    let stage = Stage::new().await;
    let outcomes = join_all((0..50).map(|_| {
        let pool = stage.pool.clone();
        tokio::spawn(async move {
            let mut connection = pool.acquire().await.unwrap();
            begin(&mut connection, &charge_of("k")).await.unwrap()
        })
    }))
    .await;
    let mut begun = Vec::new();
    let mut found = Vec::new();
    for outcome in outcomes {
        match outcome.unwrap() {
            Begin::Begun(begun_now) => begun.push(begun_now.payment.id),
            Begin::Exists {
                payment,
                running_since,
            } => {
                assert_eq!(running_since, Some(NOW));
                found.push(payment.id);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((begun.len(), found.len()), (1, 49));
    assert!(found.iter().all(|id| *id == begun[0]));
    for table in [
        "SELECT count(*) FROM payment",
        "SELECT count(*) FROM payment_attempt",
        "SELECT count(*) FROM payment_status_change",
    ] {
        assert_eq!(stage.number(table).await, 1, "{table}");
    }
}

#[tokio::test]
async fn who_waits_for_a_faster_request_finds_its_payment() {
    let stage = Stage::new().await;
    let mut faster = stage.connection().await;
    let mut transaction = faster.begin().await.unwrap();
    let Begin::Begun(begun) = begin(&mut transaction, &charge_of("k")).await.unwrap() else {
        panic!("it did not begin");
    };
    let slower = waiting(&stage).await;
    transaction.commit().await.unwrap();
    match slower.await.unwrap() {
        Begin::Exists { payment, .. } => assert_eq!(*payment, begun.payment),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_waits_for_a_request_that_fails_begins_instead() {
    let stage = Stage::new().await;
    let mut faster = stage.connection().await;
    let mut transaction = faster.begin().await.unwrap();
    begin(&mut transaction, &charge_of("k")).await.unwrap();
    let slower = waiting(&stage).await;
    transaction.rollback().await.unwrap();
    assert!(matches!(slower.await.unwrap(), Begin::Begun(_)));
    assert_eq!(stage.number("SELECT count(*) FROM payment").await, 1);
}

/// A request with the same key that waits for the first.
async fn waiting(stage: &Stage) -> tokio::task::JoinHandle<Begin> {
    let url = stage.database.url.clone();
    let task = tokio::spawn(async move {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        begin(&mut connection, &charge_of("k")).await.unwrap()
    });
    stage.somebody_waits().await;
    task
}

#[tokio::test]
async fn a_key_is_the_users_own() {
    let stage = Stage::new().await;
    stage.begin(&charge_of("k")).await;
    let other = stage
        .begin(&NewCharge {
            ownership: &payments::use_cases::OWNERSHIP,
            user_id: 43,
            payment_method_id: Some(2),
            ..charge_of("k")
        })
        .await;
    assert_eq!(other.stripe_customer_id, "cus_2");
}

#[tokio::test]
async fn nothing_begins_without_a_customer_or_on_a_card_that_is_not_the_users() {
    let stage = Stage::new().await;
    stage
        .run("INSERT INTO payment_method (id, customer_id, stripe_payment_method_id, brand, last4, exp_month, exp_year, detached_at)
              VALUES (3, 1, 'pm_3', 'visa', '0002', 1, 2030, now())")
        .await;
    let mut connection = stage.connection().await;
    for (user_id, method, expected) in [
        (99, Some(METHOD), Begin::NoCustomer),
        (99, None, Begin::NoCustomer),
        (USER, Some(2), Begin::NoMethod),
        (USER, Some(3), Begin::NoMethod),
        (USER, Some(999), Begin::NoMethod),
    ] {
        let charge = NewCharge {
            ownership: &payments::use_cases::OWNERSHIP,
            user_id,
            payment_method_id: method,
            ..charge_of("k")
        };
        assert_eq!(
            begin(&mut connection, &charge).await.unwrap(),
            expected,
            "{user_id} {method:?}"
        );
    }
    assert_eq!(stage.number("SELECT count(*) FROM payment").await, 0);
}

#[tokio::test]
async fn a_card_that_stripe_refused_is_noted_without_a_card() {
    let stage = Stage::new().await;
    let begun = stage
        .begin(&NewCharge {
            ownership: &payments::use_cases::OWNERSHIP,
            payment_method_id: None,
            ..charge_of("k")
        })
        .await;
    assert_eq!(
        (begun.payment.payment_method_id, begun.stripe_payment_method_id),
        (None, None)
    );
}

#[tokio::test]
async fn an_erased_user_is_charged_no_more_but_finds_what_was_paid() {
    let stage = Stage::new().await;
    let paid = stage.completed("k").await;
    let mut connection = stage.connection().await;
    assert!(!customer::is_erased(&mut connection, USER).await.unwrap());
    for _ in 0..2 {
        customer::note_erased(&mut connection, USER, NOW).await.unwrap();
    }
    assert!(customer::is_erased(&mut connection, USER).await.unwrap());
    assert_eq!(
        begin(&mut connection, &charge_of("other")).await.unwrap(),
        Begin::Erased
    );
    match begin(&mut connection, &charge_of("k")).await.unwrap() {
        Begin::Exists {
            payment,
            running_since,
        } => assert_eq!((*payment, running_since), (paid, None)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn two_first_requests_of_a_user_keep_one_customer() {
    let stage = Stage::new().await;
    let mut connection = stage.connection().await;
    let first = customer::keep(&mut connection, 99, "cus_99", NOW).await.unwrap();
    let second = customer::keep(&mut connection, 99, "cus_100", NOW).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(customer::of_user(&mut connection, 99).await.unwrap(), Some(first));
}
