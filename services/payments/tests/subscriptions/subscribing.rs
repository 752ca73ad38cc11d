//! The first period is paid before the answer.

use banyan_dev_sinks::stripe::Fault;
use serde_json::{Value, json};

use crate::world::{BASIC, DECLINED, GULF, PRO, TEAM, USER, VISA, World, answer, fields, problem};

fn body(plan_id: i64, method: impl Into<Value>) -> Value {
    json!({"planId": plan_id, "paymentMethodId": method.into()})
}

#[tokio::test]
async fn the_first_period_is_paid_at_once_and_a_repetition_is_answered_alike() {
    let world = World::start().await;
    let card = world.card(VISA).await;
    let first = world.subscribe_raw(USER, "k", &body(PRO, card)).await;
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let (status, made) = answer(first).await;
    assert_eq!(status, 201, "{made}");
    for (field, expected) in [
        ("userId", json!(USER)),
        ("planId", json!(PRO)),
        ("status", json!("active")),
        ("paymentMethodId", json!(card)),
        ("couponCode", Value::Null),
        ("cancelAtPeriodEnd", json!(false)),
        ("canceledAt", Value::Null),
        ("createdAt", made["currentPeriodStart"].clone()),
    ] {
        assert_eq!(made[field], expected, "{field}");
    }

    let [invoice] = <[Value; 1]>::try_from(world.invoices().await).unwrap();
    let payment = world
        .number("SELECT id FROM payment WHERE status = 'completed'")
        .await;
    assert!(invoice["number"].as_str().unwrap().starts_with("INV-"));
    for (field, expected) in [
        ("subscriptionId", &made["id"]),
        ("status", &json!("paid")),
        ("currency", &json!("USD")),
        ("subtotal", &json!("29.00")),
        ("discount", &json!("0.00")),
        ("total", &json!("29.00")),
        ("paymentId", &json!(payment)),
        ("periodStart", &made["currentPeriodStart"]),
        ("periodEnd", &made["currentPeriodEnd"]),
        (
            "lines",
            &json!([{"description": "Pro, monthly", "amount": "29.00", "proration": false,
                "periodStart": made["currentPeriodStart"], "periodEnd": made["currentPeriodEnd"]}]),
        ),
    ] {
        assert_eq!(&invoice[field], expected, "{field}");
    }
    assert!(invoice["paidAt"].is_string());

    let again = world.subscribe_raw(USER, "k", &body(PRO, card)).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(answer(again).await, (201, made));
    let other = world.subscribe_with("k", &body(BASIC, card)).await;
    assert_eq!(problem(&other), (422, "idempotency-key-reused"));

    assert_eq!(world.intents().await, 1);
    let completed = world.events("payment.completed").await;
    assert_eq!(completed.len(), 1);
    assert_eq!(completed[0]["amountMinor"], 2900);
    assert!(world.events("subscription.renewed").await.is_empty());
    world.assert_booked().await;
}

#[tokio::test]
async fn the_charge_of_an_invoice_has_the_monoliths_stripe_key() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    let key = world.texts("SELECT idempotency_key FROM payment").await.remove(0);
    let invoice = world.number("SELECT id FROM invoice").await;
    assert!(key.starts_with(&format!("invoice:{invoice}:")), "{key}");
    let asked = world.charges().remove(0).idempotency_key;
    assert_eq!(asked, Some(format!("charge:{USER}:{key}")));
    assert_eq!(
        world
            .texts("SELECT stripe_idempotency_key FROM payment_attempt")
            .await,
        [asked.unwrap()]
    );
    assert_eq!(
        world
            .number("SELECT count(*) FROM payment WHERE request_fingerprint IS NULL")
            .await,
        1
    );
}

#[tokio::test]
async fn a_declined_card_ends_it_before_it_began() {
    let world = World::start().await;
    let bad = world.card(DECLINED).await;
    let mut order = body(BASIC, bad);
    order["couponCode"] = "WELCOME10".into();
    let declined = world.subscribe_with("k", &order).await;
    assert_eq!(
        (declined.0, &declined.1["status"]),
        (402, &json!("incomplete_expired"))
    );
    assert_eq!(world.invoices().await[0]["status"], "void");
    assert_eq!(world.subscribe_with("k", &order).await, declined);
    // Neither plan nor coupon is used up.
    order["paymentMethodId"] = VISA.into();
    let (status, made) = world.subscribe_with("other", &order).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(world.events("payment.failed").await.len(), 1);
    // Refused when it is attached already: there is nothing to keep.
    let refused = world.subscribe(GULF, "pm_card_visa_chargeDeclined").await;
    assert_eq!(problem(&refused), (402, "payment-method-declined"));
    assert_eq!(world.number("SELECT count(*) FROM subscription").await, 2);
}

#[tokio::test]
async fn a_lost_answer_is_202_and_the_same_key_finds_out() {
    let world = World::start().await;
    let card = world.card(VISA).await;
    world.next_charge(Fault::AnswerLost);
    let (status, unknown) = world.subscribe_with("k", &body(BASIC, card)).await;
    assert_eq!((status, &unknown["status"]), (202, &json!("incomplete")));
    assert_eq!(world.invoices().await[0]["status"], "open");
    let meanwhile = world.subscribe_raw(USER, "other", &body(PRO, card)).await;
    assert_eq!(meanwhile.headers()["retry-after"], "1");
    assert_eq!(problem(&answer(meanwhile).await), (409, "invalid-state"));
    let same_plan = world.subscribe(BASIC, card).await;
    assert_eq!(problem(&same_plan), (409, "already-subscribed"));

    let again = world.subscribe_raw(USER, "k", &body(BASIC, card)).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    let (status, made) = answer(again).await;
    assert_eq!((status, &made["status"]), (201, &json!("active")));
    assert_eq!(made["id"], unknown["id"]);
    assert_eq!(world.intents().await, 1);
    assert_eq!(world.events("payment.completed").await.len(), 1);
    world.assert_booked().await;
}

#[tokio::test]
async fn a_stripe_that_is_down_is_unknown_and_never_declined() {
    let mut world = World::start().await;
    let card = world.card(VISA).await;
    world.stripe.go_down().await;
    let (status, unknown) = world.subscribe_with("k", &body(BASIC, card)).await;
    assert_eq!((status, &unknown["status"]), (202, &json!("incomplete")));
    world.stripe.come_back().await;
    let (status, made) = world.subscribe_with("k", &body(BASIC, card)).await;
    assert_eq!((status, &made["status"]), (201, &json!("active")));
    assert_eq!(world.intents().await, 1);
}

#[tokio::test]
async fn a_key_that_the_other_side_knows_is_answered_from_its_row() {
    let world = World::start().await;
    let card = world.card(VISA).await;
    let made = world.subscribe_with("k", &body(BASIC, card)).await;
    // As a row that was synced: the monolith's, so there is no key here.
    world.run("DELETE FROM idempotency_key").await;
    let again = world.subscribe_raw(USER, "k", &body(BASIC, card)).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(answer(again).await, made);
    world.run("DELETE FROM idempotency_key").await;
    let other = world.subscribe_with("k", &body(PRO, card)).await;
    assert_eq!(problem(&other), (422, "idempotency-key-reused"));
    assert_eq!(world.intents().await, 1);
}

#[tokio::test]
async fn a_call_that_the_other_side_may_still_make_is_not_made_here() {
    let world = World::start().await;
    let card = world.card(VISA).await;
    world.next_charge(Fault::Reset);
    let (status, _) = world.subscribe_with("k", &body(BASIC, card)).await;
    assert_eq!(status, 202);
    // As synced while the monolith waits for Stripe.
    world
        .run(
            "DELETE FROM idempotency_key;
             UPDATE payment_attempt SET status = 'started', finished_at = NULL, error_code = NULL",
        )
        .await;
    let running = world.subscribe_with("k", &body(BASIC, card)).await;
    assert_eq!(problem(&running), (409, "idempotency-key-in-use"));
    assert_eq!(world.charges().len(), 1);
    world.pass("2 minutes").await;
    let (status, made) = world.subscribe_with("k", &body(BASIC, card)).await;
    assert_eq!((status, &made["status"]), (201, &json!("active")));
}

#[tokio::test]
async fn what_stripe_has_forgotten_is_not_asked_for_again() {
    let world = World::start().await;
    let card = world.card(VISA).await;
    world.next_charge(Fault::Reset);
    world.subscribe_with("k", &body(BASIC, card)).await;
    world.pass("24 hours").await;
    let (status, still) = world.subscribe_with("k", &body(BASIC, card)).await;
    assert_eq!((status, &still["status"]), (202, &json!("incomplete")));
    assert_eq!(world.charges().len(), 1);
}

#[tokio::test]
async fn of_many_at_once_one_subscribes() {
    let world = World::start().await;
    let card = world.card(VISA).await;
    let calls = (0..8).map(|_| world.subscribe(BASIC, card));
    let answers = futures::future::join_all(calls).await;
    let made = answers.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(made, 1, "{answers:?}");
    assert!(
        answers.iter().all(|(status, _)| [201, 409].contains(status)),
        "{answers:?}"
    );
    assert_eq!(world.intents().await, 1);
    assert_eq!(world.invoices().await.len(), 1);
}

#[tokio::test]
async fn of_many_with_one_key_one_subscribes_and_all_hear_of_it() {
    let world = World::start().await;
    let card = world.card(VISA).await;
    let order = body(BASIC, card);
    let calls = (0..8).map(|_| world.subscribe_with("k", &order));
    let answers = futures::future::join_all(calls).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.0 == 201 || problem(answer) == (409, "idempotency-key-in-use")),
        "{answers:?}"
    );
    assert!(answers.iter().any(|(status, _)| *status == 201));
    assert_eq!(world.intents().await, 1);
}

#[tokio::test]
async fn a_second_one_is_for_another_currency() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    let again = world.subscribe(BASIC, VISA).await;
    assert_eq!(problem(&again), (409, "already-subscribed"));
    world.subscribed(TEAM).await;
    assert_eq!(
        world
            .texts("SELECT total_minor || currency FROM invoice ORDER BY id")
            .await,
        ["999USD", "29000EUR"]
    );
}

#[tokio::test]
async fn every_field_that_is_wrong_is_named() {
    let world = World::start().await;
    let card = world.card(VISA).await;
    world
        .run(
            "INSERT INTO plan (id, code, name, amount_minor, currency, interval, is_active)
               VALUES (9, 'gone', 'Gone', 100, 'USD', 'month', false);
             INSERT INTO customer (id, user_id, stripe_customer_id) VALUES (7, 43, 'cus_7');
             INSERT INTO payment_method (id, customer_id, stripe_payment_method_id, brand, last4, exp_month, exp_year)
               VALUES (7, 7, 'pm_7', 'visa', '4242', 12, 2030)",
        )
        .await;
    for (order, expected) in [
        (json!({}), &["paymentMethodId", "planId"][..]),
        (
            json!({"planId": "1", "paymentMethodId": [], "couponCode": 7}),
            &["couponCode", "paymentMethodId", "planId"],
        ),
        (body(99, card), &["planId"]),
        (body(9, card), &["planId"]),
        (body(BASIC, 7), &["paymentMethodId"]),
        (body(BASIC, "pm_nonsense"), &["paymentMethodId"]),
        (
            json!({"planId": BASIC, "paymentMethodId": card, "couponCode": "NONE"}),
            &["couponCode"],
        ),
    ] {
        let refused = world.subscribe_with("k", &order).await;
        let mut named = fields(&refused);
        named.sort_unstable();
        assert_eq!(named, expected, "{order}");
    }
    // Refused, so the key is free.
    let (status, _) = world.subscribe_with("k", &body(BASIC, card)).await;
    assert_eq!(status, 201);
    let stranger = world.subscribe_raw(44, "k", &body(BASIC, card)).await;
    assert_eq!(fields(&answer(stranger).await), ["paymentMethodId"]);
}

#[tokio::test]
async fn an_erased_account_cannot_subscribe() {
    let world = World::start().await;
    let card = world.card(VISA).await;
    world
        .run("INSERT INTO erased_user (user_id, erased_at) VALUES (42, now() - interval '2 days')")
        .await;
    let refused = world.subscribe(BASIC, card).await;
    assert_eq!(problem(&refused), (403, "forbidden"));
}
