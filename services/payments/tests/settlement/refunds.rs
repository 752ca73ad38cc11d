//! Giving money back.

use std::time::Duration;

use banyan_dev_sinks::stripe::{Fault, FaultRule};
use banyan_test_support::wait_until;
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{REFUNDS, World, answer, new_key};

#[tokio::test]
async fn all_of_it_goes_back_with_ledger_and_event() {
    let world = World::start().await;
    let path = world.paid().await;
    let answer = world.refund(&path, "k", &json!({ "reason": "duplicate" })).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let refund = answer.json();
    for (field, expected) in [
        ("amount", json!("10.00")),
        ("currency", json!("USD")),
        ("status", json!("succeeded")),
        ("reason", json!("duplicate")),
        ("failureCode", Value::Null),
    ] {
        assert_eq!(refund[field], expected, "{field}");
    }
    let payment = world.get(&path).await.json();
    assert_eq!(payment["status"], "refunded");
    assert_eq!(payment["amountRefunded"], "10.00");
    let event = "SELECT payload || jsonb_build_object('subject', subject, 'owner', headers -> 'effectowner')
                 FROM outbox WHERE type = 'payment.refunded'";
    assert_eq!(
        world.json(event).await,
        json!({
            "paymentId": payment["id"], "refundId": refund["id"], "userId": 42, "amountMinor": 1000, "currency": "USD",
            "refundedAt": refund["completedAt"], "subject": format!("payment/{}", payment["id"]), "owner": "new",
        })
    );
    assert_eq!(
        world.count("SELECT count(*) FROM payment WHERE payout_due").await,
        1
    );
    let refused = world.refund(&path, &new_key(), &json!({})).await;
    assert_eq!(refused.problem(), "invalid-state");
    world.assert_consistent().await;
}

#[tokio::test]
async fn parts_go_back_until_nothing_is_left() {
    let world = World::start().await;
    let path = world.paid().await;
    let refund = async |body: Value| world.refund(&path, &new_key(), &body).await;
    assert_eq!(refund(json!({ "amount": "10.01" })).await.problem(), "invalid");
    assert_eq!(refund(json!({ "amount": 3.10 })).await.json()["amount"], "3.10");
    assert_eq!(world.get(&path).await.json()["status"], "partially_refunded");
    assert_eq!(refund(json!({ "amount": "6.91" })).await.problem(), "invalid");
    assert_eq!(refund(json!({})).await.json()["amount"], "6.90");
    assert_eq!(
        world
            .texts("SELECT to_status FROM payment_status_change ORDER BY id")
            .await,
        ["pending", "completed", "partially_refunded", "refunded"]
    );
    let list = world.get(&format!("{path}/refunds?limit=1")).await.json();
    assert_eq!(list["items"][0]["amount"], "6.90");
    let cursor = list["nextCursor"].as_str().unwrap();
    let rest = world
        .get(&format!("{path}/refunds?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(rest.json()["items"][0]["amount"], "3.10");
    assert_eq!(rest.json()["nextCursor"], Value::Null);
    world.assert_consistent().await;
}

#[tokio::test]
async fn a_repetition_is_answered_alike_and_keys_belong_to_their_payment() {
    let world = World::start().await;
    let (path, other) = (world.paid().await, world.paid().await);
    let first = world.refund(&path, "k", &json!({ "amount": "4.00" })).await;
    let again = world.refund(&path, "k", &json!({ "amount": 4 })).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert!(again.is_replayed() && !first.is_replayed());
    for changed in [
        json!({ "amount": "5.00" }),
        json!({ "amount": "4.00", "reason": "fraudulent" }),
        json!({}),
    ] {
        let refused = world.refund(&path, "k", &changed).await;
        assert_eq!(refused.problem(), "idempotency-key-reused", "{changed}");
    }
    let elsewhere = world.refund(&other, "k", &json!({ "amount": "4.00" })).await;
    assert_eq!(elsewhere.status, 201);
    assert_ne!(elsewhere.json()["id"], first.json()["id"]);
    assert_eq!(world.refunded_at_stripe().await, [400, 400]);
}

#[tokio::test]
async fn what_is_refused_leaves_the_key_free() {
    let world = World::start().await;
    let path = world.paid().await;
    for (body, status) in [
        (json!({ "amount": "10.01" }), 422),
        (json!({ "amount": 0 }), 422),
        (json!({ "reason": "because" }), 422),
        (json!({ "amount": "x", "reason": 7 }), 422),
        (json!({ "amount": "1.00" }), 201),
    ] {
        assert_eq!(world.refund(&path, "k", &body).await.status, status, "{body}");
    }
    let reserved = world.reserved().await;
    for _ in 0..2 {
        let refused = world.refund(&reserved, "k", &json!({})).await;
        assert_eq!(refused.problem(), "invalid-state");
    }
    assert_eq!(
        world
            .count("SELECT count(*) FROM idempotency_key WHERE scope LIKE 'refund%'")
            .await,
        1
    );
    let keyless = world.request(Method::POST, &format!("{path}/refunds"), 42);
    let keyless = answer(keyless.json(&json!({}))).await;
    assert_eq!(keyless.problem(), "idempotency-key-missing");
}

#[tokio::test]
async fn somebody_elses_payment_is_not_there() {
    let world = World::start().await;
    let path = format!("{}/refunds", world.paid().await);
    let post = world.request(Method::POST, &path, 43);
    let post = post.header("idempotency-key", "k").json(&json!({}));
    assert_eq!(answer(post).await.status, 404);
    assert_eq!(answer(world.request(Method::GET, &path, 43)).await.status, 404);
    assert_eq!(world.count("SELECT count(*) FROM refund").await, 0);
}

/// Unknown is 202, counts against what is left, and the next request with the key finds out.
#[tokio::test]
async fn a_lost_answer_leaves_a_refund_pending_until_its_key_comes_again() {
    let world = World::start().await;
    let path = world.paid().await;
    world.breaks(Fault::AnswerLost, REFUNDS, 1);
    let unknown = world.refund(&path, "k", &json!({ "amount": "6" })).await;
    assert_eq!(
        (unknown.status.as_u16(), &unknown.json()["status"]),
        (202, &json!("pending"))
    );
    let more = world.refund(&path, &new_key(), &json!({ "amount": "5" })).await;
    assert_eq!(more.status, 422);
    assert_eq!(world.get(&path).await.json()["amountRefunded"], "0.00");
    let known = world.refund(&path, "k", &json!({ "amount": "6" })).await;
    assert_eq!(
        (known.status.as_u16(), &known.json()["status"]),
        (201, &json!("succeeded"))
    );
    assert!(known.is_replayed());
    assert_eq!(world.refunded_at_stripe().await, [600]);
    assert_eq!(world.keys_sent(REFUNDS).len(), 2);
    world.assert_consistent().await;
}

#[tokio::test]
async fn no_fault_is_reported_as_a_failed_refund() {
    let world = World::start_with(&[("stripe.timeout_ms", "2000")]).await;
    let path = world.paid().await;
    for fault in [Fault::ServerError, Fault::Reset, Fault::RateLimit] {
        world.breaks(fault, REFUNDS, 1);
        let unknown = world.refund(&path, &new_key(), &json!({ "amount": "1" })).await;
        assert_eq!(unknown.status, 202, "{fault:?}: {unknown:?}");
    }
    let late = FaultRule::once(Fault::Delay, "POST", REFUNDS).delayed_by(Duration::from_secs(4));
    world.stripe.inject(late);
    let unknown = world.refund(&path, &new_key(), &json!({ "amount": "1" })).await;
    assert_eq!(unknown.status, 202, "{unknown:?}");
    assert_eq!(
        world.texts("SELECT DISTINCT status FROM refund").await,
        ["pending"]
    );
    let left = world.refund(&path, &new_key(), &json!({})).await;
    assert_eq!(left.json()["amount"], "6.00", "all four count");
}

#[tokio::test]
async fn one_that_stripe_refuses_is_402_and_gives_its_amount_free_again() {
    let world = World::start().await;
    let path = world.paid().await;
    world
        .run("UPDATE payment SET stripe_payment_intent_id = 'pi_unknown'")
        .await;
    let refused = world.refund(&path, "k", &json!({})).await;
    assert_eq!(refused.status, 402, "{refused:?}");
    assert_eq!(refused.json()["status"], "failed");
    assert!(refused.json()["failureCode"].is_string());
    let again = world.refund(&path, "k", &json!({})).await;
    assert_eq!((again.status, &again.body), (refused.status, &refused.body));
    let payment = world.get(&path).await.json();
    assert_eq!(
        (&payment["status"], &payment["amountRefunded"]),
        (&json!("completed"), &json!("0.00"))
    );
    // All of it can be asked for again.
    assert_eq!(
        world
            .refund(&path, &new_key(), &json!({ "amount": "10" }))
            .await
            .status,
        402
    );
    world.assert_consistent().await;
}

#[tokio::test]
async fn a_refund_runs_to_its_end_when_the_client_hangs_up() {
    let world = World::start().await;
    let path = world.paid().await;
    let slow = FaultRule::once(Fault::Delay, "POST", REFUNDS).delayed_by(Duration::from_secs(1));
    world.stripe.inject(slow);
    let request = world.request(Method::POST, &format!("{path}/refunds"), 42);
    let request = request.header("idempotency-key", "k").json(&json!({}));
    world.hang_up(request, REFUNDS).await;
    let busy = world.refund(&path, "k", &json!({})).await;
    assert!(
        busy.status == 201 || busy.problem() == "idempotency-key-in-use",
        "{busy:?}"
    );
    let status = async || world.get(&path).await.json()["status"].clone();
    wait_until("the refund", Duration::from_secs(20), status, |status| {
        status == "refunded"
    })
    .await;
    let known = world.refund(&path, "k", &json!({})).await;
    assert!(known.status == 201 && known.is_replayed(), "{known:?}");
    assert_eq!(world.refunded_at_stripe().await, [1000]);
}
