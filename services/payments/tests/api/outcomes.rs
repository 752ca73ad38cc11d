//! What Stripe may answer, and may not.

use std::num::NonZeroU32;
use std::time::Duration;

use banyan_dev_sinks::stripe::{Fault, FaultRule};
use banyan_test_support::wait_for;
use serde_json::{Value, json};

use crate::support::{World, new_key, order};

const INTENTS: &str = "/v1/payment_intents";

fn rule(fault: Fault, times: u32) -> FaultRule {
    FaultRule {
        times: NonZeroU32::new(times).unwrap(),
        ..FaultRule::once(fault, "POST", INTENTS)
    }
}

#[tokio::test]
async fn a_declined_card_is_402_with_the_payment_and_stays_so() {
    let world = World::start().await;
    let (key, body) = (new_key(), order("pm_card_chargeDeclined"));
    let declined = world.charge_as(1, &key, &body).await;
    assert_eq!(declined.status, 402, "{declined:?}");
    let payment = declined.json();
    assert_eq!(payment["status"], "failed");
    assert_eq!(payment["failureCode"], "card_declined");
    assert!(payment["failureMessage"].is_string());
    assert_eq!(world.get(&declined.headers["location"], 1).await.json(), payment);
    let again = world.charge_as(1, &key, &body).await;
    assert!(again.is_replayed());
    assert_eq!((again.status, again.body), (declined.status, declined.body));
    let failed = "SELECT count(*) FROM outbox WHERE type = 'payment.failed'";
    assert_eq!(world.count(failed).await, 1);
    world.assert_property_one(0).await;
}

#[tokio::test]
async fn a_card_that_the_bank_refuses_to_attach_is_a_declined_payment_without_a_card() {
    let world = World::start().await;
    let card = world.stripe.card("4000000000000002").await;
    let refused = world.charge(1, &order(card)).await;
    assert_eq!(refused.status, 402, "{refused:?}");
    assert_eq!(refused.json()["failureCode"], "card_declined");
    assert_eq!(refused.json()["paymentMethodId"], Value::Null);
    world.assert_property_one(0).await;
}

#[tokio::test]
async fn money_can_be_reserved() {
    let world = World::start().await;
    let mut body = order(world.card(1).await);
    body["capture"] = json!(false);
    let reserved = world.charge(1, &body).await;
    assert_eq!(reserved.status, 201, "{reserved:?}");
    assert_eq!(reserved.json()["status"], "requires_capture");
    assert_eq!(
        world.get(&reserved.headers["location"], 1).await.json(),
        reserved.json()
    );
    world.assert_property_one(0).await;
}

/// Faults that pass are not the client's business.
#[tokio::test]
async fn a_fault_that_passes_is_retried_under_the_same_key() {
    let world = World::start().await;
    let card = world.card(1).await;
    for fault in [Fault::AnswerLost, Fault::RateLimit, Fault::Reset] {
        world.stripe.inject(rule(fault, 1));
        let charged = world.charge(1, &order(card)).await;
        assert_eq!(charged.status, 201, "{fault:?}: {charged:?}");
    }
    world.assert_property_one(3).await;
}

/// Unknown is 202, whatever the fault, and the next request with the key finds out.
#[tokio::test]
async fn an_unknown_outcome_is_202_and_the_next_try_settles_it() {
    let world = World::start_with(&[("stripe.retry.max_retries", "0")]).await;
    let card = world.card(1).await;
    for fault in [Fault::AnswerLost, Fault::RateLimit, Fault::Reset] {
        let (key, body) = (new_key(), order(card));
        world.stripe.inject(rule(fault, 1));
        let unknown = world.charge_as(1, &key, &body).await;
        assert_eq!(unknown.status, 202, "{fault:?}: {unknown:?}");
        assert_eq!(unknown.json()["status"], "pending", "{fault:?}");
        let settled = world.charge_as(1, &key, &body).await;
        assert_eq!(settled.status, 201, "{fault:?}: {settled:?}");
        assert_eq!(settled.json()["id"], unknown.json()["id"], "{fault:?}");
        let replayed = world.charge_as(1, &key, &body).await;
        assert_eq!(replayed.json(), settled.json(), "{fault:?}");
    }
    world.assert_property_one(3).await;
}

/// Stripe keeps a 500 for the key: it stays unknown, and is never taken for a failure.
#[tokio::test]
async fn a_kept_500_stays_unknown() {
    let world = World::start().await;
    let (key, body) = (new_key(), order(world.card(1).await));
    world.stripe.inject(rule(Fault::ServerError, 1));
    for _ in 0..3 {
        let unknown = world.charge_as(1, &key, &body).await;
        assert_eq!(unknown.status, 202, "{unknown:?}");
    }
    let failed = "SELECT count(*) FROM outbox";
    assert_eq!(
        world.count(failed).await,
        0,
        "nothing is told of what is not known"
    );
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_202_and_is_found_again() {
    let world = World::start_with(&[("stripe.timeout_ms", "300"), ("stripe.retry.max_retries", "0")]).await;
    let (key, body) = (new_key(), order(world.card(1).await));
    world.stripe.inject(FaultRule {
        delay_ms: 900,
        ..rule(Fault::Delay, 1)
    });
    assert_eq!(world.charge_as(1, &key, &body).await.status, 202);
    let settled = wait_for("the charge", Duration::from_secs(20), async || {
        let answer = world.charge_as(1, &key, &body).await;
        if answer.status == 201 {
            return Ok(answer);
        }
        Err(answer)
    })
    .await;
    assert_eq!(settled.json()["status"], "completed");
    world.assert_property_one(1).await;
}

/// While Stripe is down nothing is begun, reads go on, and what was answered before is answered again.
#[tokio::test]
async fn while_stripe_is_down_reads_go_on_and_it_recovers_by_itself() {
    let mut world = World::start_with(&[
        ("stripe.retry.max_retries", "0"),
        ("stripe.breaker.trip_after", "2"),
        ("stripe.breaker.cool_down_ms", "200"),
    ])
    .await;
    let (old_key, body) = (new_key(), order(world.card(1).await));
    let old = world.charge_as(1, &old_key, &body).await;
    world.stripe.go_down().await;
    let keys: Vec<String> = (0..6).map(|_| new_key()).collect();
    let mut refused = 0;
    for key in &keys {
        let answer = world.charge_as(1, key, &body).await;
        match answer.status.as_u16() {
            202 => {}
            503 => refused += 1,
            _ => panic!("{answer:?}"),
        }
    }
    assert!(refused > 0, "the circuit breaker never opened");
    let replayed = world.charge_as(1, &old_key, &body).await;
    assert_eq!(replayed.body, old.body);
    assert_eq!(world.get("/api/payments/", 1).await.status, 200);
    assert_eq!(world.get("/api/payments/balance", 1).await.status, 200);
    world.stripe.come_back().await;
    for key in &keys {
        wait_for("the charge", Duration::from_secs(20), async || {
            let answer = world.charge_as(1, key, &body).await;
            if answer.status == 201 { Ok(()) } else { Err(answer) }
        })
        .await;
    }
    world.assert_property_one(7).await;
}
