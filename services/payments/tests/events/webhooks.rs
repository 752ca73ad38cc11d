//! Stripe's events: signed, once each, in any order.

use std::num::NonZeroU32;

use banyan_dev_sinks::stripe::{Fault, FaultRule};
use serde_json::{Value, json};

use crate::stage::{USER, WEBHOOK, event, now};
use crate::support::{WEBHOOK_SECRET, World, order};

async fn rows(world: &World) -> Vec<String> {
    world
        .texts("SELECT type || ' ' || status FROM stripe_webhook_event ORDER BY id")
        .await
}

fn refused(answer: &crate::support::Answer, kind: &str) {
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.json()["type"], format!("urn:banyan:problem:{kind}"));
}

#[tokio::test]
async fn only_what_stripe_has_signed_in_the_last_minutes_is_believed() {
    let world = World::start().await;
    let body = event("evt_1", "made.up", now(), &json!({})).to_string();
    for (secret, time) in [
        ("whsec_another", now()),
        ("", now()),
        (WEBHOOK_SECRET, now() - 301),
        (WEBHOOK_SECRET, now() + 310),
        (WEBHOOK_SECRET, 0),
    ] {
        refused(&world.deliver(&body, secret, time).await, "signature-invalid");
    }
    let other = event("evt_2", "made.up", now(), &json!({})).to_string();
    let signature = banyan_dev_sinks::stripe::signature::sign(WEBHOOK_SECRET, now(), body.as_bytes());
    for (body, signature) in [
        (&body, None),
        (&body, Some("")),
        (&body, Some("nonsense")),
        (&body, Some("t=,v1=")),
        (&other, Some(signature.as_str())),
    ] {
        refused(&world.deliver_as(body, signature).await, "signature-invalid");
    }
    assert_eq!(rows(&world).await, Vec::<String>::new());
    assert_eq!(world.deliver_as(&body, Some(&signature)).await.status, 200);
}

#[tokio::test]
async fn what_is_signed_and_no_event_is_refused_and_not_kept() {
    let world = World::start().await;
    for body in [
        "",
        "[",
        "5",
        "{}",
        r#"{"id":"evt_1","type":"x","created":"soon","data":{"object":{}}}"#,
        r#"{"id":"","type":"x","created":1,"data":{"object":{}}}"#,
        r#"{"id":"evt_1","type":null,"created":1,"data":{"object":{}}}"#,
        r#"{"id":"evt_1","type":"x","created":1,"data":null}"#,
    ] {
        refused(&world.deliver(body, WEBHOOK_SECRET, now()).await, "bad-request");
    }
    assert_eq!(rows(&world).await, Vec::<String>::new());
    let read = world.get(WEBHOOK, USER).await;
    assert_eq!(read.status, 405);
}

#[tokio::test]
async fn a_lost_charge_is_completed_by_its_event_and_an_event_counts_once() {
    let world = World::start().await;
    let rule = FaultRule {
        times: NonZeroU32::new(10).unwrap(),
        ..FaultRule::once(Fault::AnswerLost, "POST", "/v1/payment_intents")
    };
    world.stripe.inject(rule);
    let unknown = world.charge(USER, &order("pm_card_visa")).await;
    assert_eq!(unknown.status, 202, "{unknown:?}");
    let id = unknown.json()["id"].as_i64().unwrap();
    let intent = world.stripe.all("payment_intents").await[0]["id"].clone();

    let succeeded = event(
        "evt_1",
        "payment_intent.succeeded",
        now(),
        &json!({ "id": intent }),
    );
    for _ in 0..3 {
        assert_eq!(world.send(&succeeded).await.status, 200);
    }
    world
        .tell("payment_intent.succeeded", &json!({ "id": intent }))
        .await;
    let payment = world.payment(id).await;
    assert_eq!(
        (&payment["status"], &payment["stripePaymentIntentId"]),
        (&json!("completed"), &intent)
    );
    assert_eq!(rows(&world).await, ["payment_intent.succeeded processed"; 2]);
    world.assert_property_one(1).await;
    let reasons = world
        .texts("SELECT reason FROM payment_status_change WHERE to_status = 'completed'")
        .await;
    assert_eq!(reasons, ["webhook"]);
}

#[tokio::test]
async fn the_same_event_many_times_at_once_counts_once() {
    let world = World::start().await;
    let (_, intent) = world.reserve().await;
    world
        .at_stripe(&format!("payment_intents/{intent}/capture"), "")
        .await;
    let news = event(
        "evt_1",
        "payment_intent.succeeded",
        now(),
        &json!({ "id": intent }),
    );
    let answers = futures::future::join_all((0..8).map(|_| world.send(&news))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(rows(&world).await, ["payment_intent.succeeded processed"]);
    world.assert_property_one(1).await;
}

#[tokio::test]
async fn stripe_s_present_state_counts_and_not_what_a_late_event_says() {
    let world = World::start().await;
    let (captured, intent) = world.reserve().await;
    world
        .at_stripe(&format!("payment_intents/{intent}/capture"), "")
        .await;
    // The event of the capture is late: the one of the reservation finds the capture out.
    for late in [
        "amount_capturable_updated",
        "payment_failed",
        "canceled",
        "requires_action",
    ] {
        let object = json!({ "id": intent, "status": late });
        world.tell(&format!("payment_intent.{late}"), &object).await;
        assert_eq!(world.status(captured).await, "completed");
    }
    let (canceled, intent) = world.reserve().await;
    world
        .at_stripe(&format!("payment_intents/{intent}/cancel"), "")
        .await;
    world
        .tell("payment_intent.succeeded", &json!({ "id": intent }))
        .await;
    assert_eq!(world.status(canceled).await, "canceled");
    world.assert_property_one(1).await;
}

#[tokio::test]
async fn what_is_settled_is_not_asked_of_stripe_again() {
    let world = World::start().await;
    let (_, intent) = world.pay("10.00", "USD").await;
    let before = world.stripe.requests().len();
    world
        .tell("payment_intent.succeeded", &json!({ "id": intent }))
        .await;
    assert_eq!(world.stripe.requests().len(), before);
}

#[tokio::test]
async fn unknown_types_and_strangers_are_ignored() {
    let world = World::start().await;
    let stranger = json!({ "id": "pi_nobody_knows", "payment_intent": "pi_nobody_knows", "status": "lost", "amount": 5 });
    for (kind, object) in [
        ("customer.created", json!({ "id": "cus_1" })),
        ("made.up", json!({})),
        ("payment_intent.succeeded", stranger.clone()),
        ("payment_intent.succeeded", json!({})),
        ("payment_intent.succeeded", json!({ "id": "../charges" })),
        ("charge.refunded", stranger.clone()),
        ("charge.refunded", json!({ "id": "ch_1" })),
        ("refund.updated", json!({ "id": "re_unknown" })),
        ("charge.dispute.created", stranger),
        ("charge.dispute.created", json!({ "id": "dp_1" })),
        ("payout.paid", json!({ "id": "po_unknown" })),
    ] {
        world.tell(kind, &object).await;
    }
    let handled = "SELECT count(*) FROM stripe_webhook_event WHERE status <> 'ignored'";
    assert_eq!(world.count(handled).await, 0);
    assert_eq!(world.count("SELECT count(*) FROM stripe_webhook_event").await, 11);
}

/// A PaymentIntent of somebody else's customer that claims to be for our payment.
#[tokio::test]
async fn a_stranger_s_intent_cannot_complete_our_payment() {
    let world = World::start().await;
    let rule = FaultRule {
        times: NonZeroU32::new(3).unwrap(),
        ..FaultRule::once(Fault::ServerError, "POST", "/v1/payment_intents")
    };
    world.stripe.inject(rule);
    let unknown = world.charge(USER, &order("pm_card_visa")).await;
    assert_eq!(unknown.status, 202, "{unknown:?}");
    let id = unknown.json()["id"].as_i64().unwrap();
    let stranger = world.at_stripe("customers", "email=stranger@example.com").await;
    let stranger = stranger["id"].as_str().unwrap();
    let card = world.stripe.card("4242424242424242").await;
    world
        .at_stripe(
            &format!("payment_methods/{card}/attach"),
            &format!("customer={stranger}"),
        )
        .await;
    let form = format!(
        "amount=1000&currency=usd&payment_method_types[0]=card&metadata[payment_id]={id}&customer={stranger}\
         &payment_method={card}&confirm=true"
    );
    let foreign = world.at_stripe("payment_intents", &form).await;
    assert_eq!(foreign["status"], "succeeded");
    world
        .tell("payment_intent.succeeded", &json!({ "id": foreign["id"] }))
        .await;
    assert_eq!(world.status(id).await, "pending");
    assert_eq!(rows(&world).await, ["payment_intent.succeeded ignored"]);
}

#[tokio::test]
async fn an_event_that_cannot_be_handled_now_is_sent_again_and_handled_then() {
    let mut world = World::start().await;
    let (id, intent) = world.reserve().await;
    world
        .at_stripe(&format!("payment_intents/{intent}/capture"), "")
        .await;
    let news = event(
        "evt_1",
        "payment_intent.succeeded",
        now(),
        &json!({ "id": intent }),
    );
    world.stripe.go_down().await;
    let away = world.send(&news).await;
    assert_eq!(away.status, 503, "{away:?}");
    assert_eq!(away.json()["type"], "urn:banyan:problem:unavailable");
    assert_eq!(away.headers["retry-after"], "10");
    assert_eq!(rows(&world).await, ["payment_intent.succeeded received"]);
    assert_eq!(world.status(id).await, "requires_capture");
    world.stripe.come_back().await;
    assert_eq!(world.send(&news).await.status, 200);
    assert_eq!(rows(&world).await, ["payment_intent.succeeded processed"]);
    assert_eq!(world.status(id).await, "completed");
}

#[tokio::test]
async fn news_of_a_running_capture_do_not_end_it() {
    let world = World::start().await;
    let (_, intent) = world.reserve().await;
    world
        .run(
            "INSERT INTO payment_attempt (payment_id, number, operation, amount_minor, stripe_idempotency_key, started_at)
             SELECT id, 2, 'capture', 500, 'capture:1', now() FROM payment",
        )
        .await;
    world
        .tell(
            "payment_intent.amount_capturable_updated",
            &json!({ "id": intent }),
        )
        .await;
    let open = "SELECT status FROM payment_attempt WHERE operation = 'capture'";
    assert_eq!(world.texts(open).await, ["started"]);
}

#[tokio::test]
async fn nothing_of_an_event_is_kept_but_ids() {
    let world = World::start().await;
    let object: Value = json!({ "id": "cus_1", "email": "ada@example.com" });
    world.tell("customer.created", &object).await;
    let kept = world
        .texts("SELECT to_jsonb(e)::text FROM stripe_webhook_event e")
        .await;
    // Nothing that the hexadecimal digits of an event's id could spell.
    assert!(kept[0].contains("cus_1"), "{kept:?}");
    assert!(!kept[0].contains('@') && !kept[0].contains("example"), "{kept:?}");
}

#[tokio::test]
async fn a_refund_made_at_stripe_is_taken_over_once() {
    let world = World::start().await;
    let (id, intent) = world.pay("10.00", "USD").await;
    let made = world
        .at_stripe("refunds", &format!("payment_intent={intent}&amount=300"))
        .await;
    for _ in 0..2 {
        let charge = json!({ "id": "ch_1", "payment_intent": intent });
        world.tell("charge.refunded", &charge).await;
        world.tell("refund.updated", &json!({ "id": made["id"] })).await;
    }
    assert_eq!(world.status(id).await, "partially_refunded");
    let kept = "SELECT concat_ws(' ', stripe_refund_id, amount_minor, status) FROM refund";
    let expected = format!("{} 300 succeeded", made["id"].as_str().unwrap());
    assert_eq!(world.texts(kept).await, [expected]);
    assert_eq!(world.events("payment.refunded").await.len(), 1);
    let booked = "SELECT count(*) FROM ledger_transaction WHERE kind = 'refund'";
    assert_eq!(world.count(booked).await, 1);
}

#[tokio::test]
async fn news_of_a_refund_settle_the_one_that_was_asked_for() {
    let world = World::start().await;
    let (id, _) = world.pay("10.00", "USD").await;
    let rule = FaultRule {
        times: NonZeroU32::new(3).unwrap(),
        ..FaultRule::once(Fault::AnswerLost, "POST", "/v1/refunds")
    };
    world.stripe.inject(rule);
    let unknown = world.refund(id, &json!({ "amount": "4.00" })).await;
    assert_eq!(unknown.status, 202, "{unknown:?}");
    let at_stripe = world.at_stripe_now("refunds").await;
    let made = at_stripe["data"][0]["id"].as_str().unwrap();
    world.tell("refund.updated", &json!({ "id": made })).await;
    let kept = "SELECT concat_ws(' ', stripe_refund_id, amount_minor, status) FROM refund";
    assert_eq!(world.texts(kept).await, [format!("{made} 400 succeeded")]);
    assert_eq!(world.status(id).await, "partially_refunded");
}

#[tokio::test]
async fn news_of_refunds_that_are_not_ours_are_ignored() {
    let world = World::start().await;
    let (_, intent) = world.reserve().await;
    world.tell("refund.updated", &json!({ "id": "re_unknown" })).await;
    world
        .tell(
            "charge.refunded",
            &json!({ "id": "ch_1", "payment_intent": "pi_unknown" }),
        )
        .await;
    // Money that is only reserved cannot go back.
    world
        .tell(
            "charge.refunded",
            &json!({ "id": "ch_2", "payment_intent": intent }),
        )
        .await;
    assert_eq!(
        rows(&world).await,
        [
            "refund.updated ignored",
            "charge.refunded ignored",
            "charge.refunded ignored"
        ]
    );
    assert_eq!(world.count("SELECT count(*) FROM refund").await, 0);
}
