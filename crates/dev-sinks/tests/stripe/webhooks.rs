//! Signed webhooks.

use axum::http::StatusCode;
use banyan_dev_sinks::stripe::signature::verify;
use serde_json::json;

use crate::support::{Bench, INTENTS, Received, SECRET, intent, next, receiver};

fn time(received: &Received) -> i64 {
    let time = received.signature.split(['=', ',']).nth(1).expect("a time");
    time.parse().expect("a number")
}

fn signed(received: &Received) -> bool {
    verify(SECRET, &received.signature, &received.body, time(received), 0)
}

#[tokio::test]
async fn an_event_comes_signed_and_again_until_it_is_taken() {
    let (target, mut received) = receiver(&[StatusCode::INTERNAL_SERVER_ERROR]).await;
    let bench = Bench::with(Some(target)).await;
    let (_, response) = bench.send(INTENTS, "one", &intent(700)).await;
    let charged: serde_json::Value = response.json().await.expect("JSON");

    let (first, second) = (next(&mut received).await, next(&mut received).await);
    assert!(signed(&first) && signed(&second));
    assert_eq!(first.body, second.body);
    assert_eq!(first.event()["type"], "payment_intent.succeeded");
    assert_eq!(first.event()["data"]["object"]["id"], charged["id"]);
    let delivered = || {
        bench
            .front
            .deliveries()
            .into_iter()
            .find(|delivery| delivery.delivered)
    };
    bench
        .front
        .wait_for_requests(crate::support::LIMIT, |_| delivered().is_some())
        .await
        .expect("it is noted");
    assert_eq!(delivered().map(|delivery| delivery.attempts), Some(2));
}

#[tokio::test]
async fn a_restarted_localstripe_goes_on_sending_events() {
    let (target, mut received) = receiver(&[]).await;
    let mut bench = Bench::with(Some(target)).await;
    bench.send(INTENTS, "one", &intent(700)).await;
    next(&mut received).await;
    bench.localstripe.restart().await;
    let (_, response) = bench.send("/v1/customers", "two", "metadata[user_id]=1").await;
    let customer: serde_json::Value = response.json().await.expect("JSON");
    let event = next(&mut received).await.event();
    assert_eq!(
        (&event["type"], &event["data"]["object"]["id"]),
        (&json!("customer.created"), &customer["id"])
    );
}

#[tokio::test]
async fn events_that_localstripe_does_not_know_can_be_sent_twice() {
    let (target, mut received) = receiver(&[]).await;
    let bench = Bench::with(Some(target)).await;
    let dispute = json!({"id": "evt_1", "type": "charge.dispute.created", "object": {"id": "dp_1"}});
    for _ in 0..2 {
        assert_eq!(bench.control("events", dispute.clone()).await, 202);
        let received = next(&mut received).await;
        assert!(signed(&received));
        assert_eq!(received.event()["id"], "evt_1");
        assert_eq!(received.event()["data"]["object"]["id"], "dp_1");
    }
}

#[tokio::test]
async fn a_forged_event_goes_nowhere() {
    let (target, mut received) = receiver(&[]).await;
    let bench = Bench::with(Some(target)).await;
    assert_eq!(
        bench
            .control("webhooks", json!({"id": "evt_forged", "type": "payout.paid"}))
            .await,
        401
    );
    bench
        .control(
            "events",
            json!({"id": "evt_real", "type": "payout.paid", "object": {}}),
        )
        .await;
    assert_eq!(next(&mut received).await.event()["id"], "evt_real");
}

#[tokio::test]
async fn without_a_receiver_events_are_refused() {
    let bench = Bench::start().await;
    assert_eq!(
        bench
            .control("events", json!({"type": "payout.paid", "object": {}}))
            .await,
        409
    );
}
