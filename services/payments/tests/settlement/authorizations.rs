//! Taking reserved money, and giving it free.

use std::time::Duration;

use banyan_dev_sinks::stripe::{Fault, FaultRule};
use banyan_test_support::{STRIPE_KEY, client, wait_until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{CANCELS, CAPTURES, World, answer, order};

#[tokio::test]
async fn all_that_is_reserved_is_captured_once() {
    let world = World::start().await;
    let path = world.reserved().await;
    let captured = world.capture(&path, &json!({})).await;
    assert_eq!(captured.status, 200, "{captured:?}");
    let payment = captured.json();
    assert_eq!(payment["status"], "completed");
    assert_eq!(payment["amount"], "10.00");
    assert!(payment["completedAt"].is_string());
    // No body means all of it, too.
    let again = answer(world.request(Method::POST, &format!("{path}/capture"), 42)).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, payment.clone()));
    assert_eq!(world.get(&path).await.json(), payment);
    let sent = world.keys_sent(&format!("/v1/payment_intents/{}/capture", intent(&payment)));
    assert_eq!(sent.len(), 1, "Stripe is asked once: {sent:?}");
    assert_eq!(
        world
            .texts("SELECT to_status FROM payment_status_change ORDER BY id")
            .await,
        ["pending", "requires_capture", "completed"]
    );
    world.assert_consistent().await;
}

#[tokio::test]
async fn a_part_is_captured_and_the_rest_is_free() {
    let world = World::start().await;
    let path = world.reserved().await;
    let more = world.capture(&path, &json!({ "amount": "10.01" })).await;
    assert_eq!((more.status.as_u16(), more.problem().as_str()), (422, "invalid"));
    let part = world.capture(&path, &json!({ "amount": 7.5 })).await;
    assert_eq!(
        (part.status.as_u16(), &part.json()["amount"]),
        (200, &json!("7.50"))
    );
    let same = world.capture(&path, &json!({ "amount": "7.50" })).await;
    assert_eq!(same.json(), part.json());
    for other in [json!({ "amount": "7.49" }), json!({})] {
        let refused = world.capture(&path, &other).await;
        assert_eq!(
            (refused.status.as_u16(), refused.problem().as_str()),
            (409, "invalid-state")
        );
        assert!(!refused.has_retry_after(), "it will not pass");
    }
    let event = "SELECT payload ->> 'amountMinor' FROM outbox WHERE type = 'payment.completed'";
    assert_eq!(world.texts(event).await, ["750"]);
    world.assert_consistent().await;
}

#[tokio::test]
async fn only_what_is_reserved_is_captured_and_only_by_its_user() {
    let world = World::start().await;
    let paid = world.paid().await;
    for answer in [world.capture(&paid, &json!({})).await, world.cancel(&paid).await] {
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (409, "invalid-state")
        );
    }
    let reserved = world.reserved().await;
    for action in ["capture", "cancel"] {
        let path = format!("{reserved}/{action}");
        let foreign = answer(world.request(Method::POST, &path, 43)).await;
        assert_eq!(foreign.status, 404, "{action}");
        let nobody = client().post(format!("{}{path}", world.service.url()));
        assert_eq!(answer(nobody).await.status, 401, "{action}");
    }
    for (text, status) in [
        ("{", 400),
        (r#"{"amount": 1e400}"#, 422),
        (r#"{"amount": 0}"#, 422),
    ] {
        let request = world.request(Method::POST, &format!("{reserved}/capture"), 42);
        let request = request.header("content-type", "application/json").body(text);
        assert_eq!(answer(request).await.status, status, "{text}");
    }
    assert_eq!(world.get(&reserved).await.json()["status"], "requires_capture");
}

#[tokio::test]
async fn a_cancellation_gives_free_what_was_reserved_once() {
    let world = World::start().await;
    let path = world.reserved().await;
    let canceled = world.cancel(&path).await;
    assert_eq!(canceled.status, 200, "{canceled:?}");
    assert_eq!(canceled.json()["status"], "canceled");
    assert_eq!(world.cancel(&path).await.json(), canceled.json());
    let captured = world.capture(&path, &json!({})).await;
    assert_eq!(captured.problem(), "invalid-state");
    world.assert_consistent().await;
}

/// Until the outcome is known, only the same request goes on.
#[tokio::test]
async fn another_change_waits_for_a_capture_whose_answer_got_lost() {
    let world = World::start().await;
    let path = world.reserved().await;
    world.breaks(Fault::AnswerLost, CAPTURES, 1);
    let unknown = world.capture(&path, &json!({ "amount": "8" })).await;
    assert_eq!(
        (unknown.status.as_u16(), &unknown.json()["status"]),
        (202, &json!("requires_capture"))
    );
    for answer in [
        world.capture(&path, &json!({ "amount": "9" })).await,
        world.cancel(&path).await,
    ] {
        assert_eq!(answer.problem(), "invalid-state", "{answer:?}");
        assert!(answer.has_retry_after());
    }
    let known = world.capture(&path, &json!({ "amount": "8" })).await;
    assert_eq!(
        (known.status.as_u16(), &known.json()["amount"]),
        (200, &json!("8.00"))
    );
    assert_eq!(
        world
            .texts("SELECT status FROM payment_attempt WHERE operation = 'capture' ORDER BY number")
            .await,
        ["declined", "succeeded"],
        "the first is superseded"
    );
    world.assert_consistent().await;
}

#[tokio::test]
async fn a_lost_cancellation_is_202_and_holds_up_a_capture() {
    let world = World::start().await;
    let path = world.reserved().await;
    world.breaks(Fault::AnswerLost, CANCELS, 1);
    let unknown = world.cancel(&path).await;
    assert_eq!(
        (unknown.status.as_u16(), &unknown.json()["status"]),
        (202, &json!("requires_capture"))
    );
    let capture = world.capture(&path, &json!({})).await;
    assert!(capture.problem() == "invalid-state" && capture.has_retry_after());
    let known = world.cancel(&path).await;
    assert_eq!(
        (known.status.as_u16(), &known.json()["status"]),
        (200, &json!("canceled"))
    );
}

#[tokio::test]
async fn what_stripe_canceled_behind_our_back_cannot_be_captured() {
    let world = World::start().await;
    let path = world.reserved().await;
    let id = intent(&world.get(&path).await.json());
    let url = format!("{}/v1/payment_intents/{id}/cancel", world.stripe.url());
    let canceled = client().post(url).bearer_auth(STRIPE_KEY);
    assert!(canceled.send().await.unwrap().status().is_success());
    let refused = world.capture(&path, &json!({})).await;
    assert_eq!(refused.problem(), "invalid-state", "{refused:?}");
    assert_eq!(world.get(&path).await.json()["status"], "canceled");
    world.assert_consistent().await;
}

/// hyper drops the handler's future when the client hangs up.
#[tokio::test]
async fn a_capture_runs_to_its_end_when_the_client_hangs_up() {
    let world = World::start().await;
    let path = world.reserved().await;
    let slow = FaultRule::once(Fault::Delay, "POST", CAPTURES).delayed_by(Duration::from_secs(1));
    world.stripe.inject(slow);
    let request = world.request(Method::POST, &format!("{path}/capture"), 42);
    world.hang_up(request, "/capture").await;
    let status = async || world.get(&path).await.json()["status"].clone();
    wait_until("the capture", Duration::from_secs(20), status, |status| {
        status == "completed"
    })
    .await;
    world.assert_consistent().await;
}

#[tokio::test]
async fn a_payment_that_waits_for_the_cardholder_can_be_canceled() {
    let world = World::start().await;
    let card = world.stripe.card("4000002500003155").await;
    let mut body = order(true);
    body["paymentMethodId"] = Value::from(card);
    let waiting = world.charge("k", &body).await;
    assert_eq!(waiting.json()["status"], "requires_action", "{waiting:?}");
    let path = format!("/api/payments/{}", waiting.json()["id"]);
    let canceled = world.cancel(&path).await;
    assert_eq!(
        (canceled.status.as_u16(), &canceled.json()["status"]),
        (200, &json!("canceled"))
    );
}

fn intent(payment: &Value) -> String {
    payment["stripePaymentIntentId"].as_str().unwrap().to_owned()
}
