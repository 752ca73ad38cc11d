//! Idempotency keys.

use banyan_dev_sinks::stripe::{Fault, FaultRule};
use serde_json::Value;

use crate::support::{Bench, INTENTS, intent, replayed};

async fn error(response: reqwest::Response) -> (String, String) {
    let body: Value = response.json().await.expect("JSON");
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    (text("type"), text("code"))
}

#[tokio::test]
async fn the_same_request_is_executed_once_and_answered_alike() {
    let bench = Bench::start().await;
    let (status, first) = bench.send(INTENTS, "one", &intent(700)).await;
    assert_eq!((status, replayed(&first)), (200, false));
    let original = first.headers()["request-id"].clone();
    let (status, second) = bench.send(INTENTS, "one", &intent(700)).await;
    assert_eq!((status, replayed(&second)), (200, true));
    assert_eq!(second.headers()["original-request"], original);
    assert_ne!(second.headers()["request-id"], original);
    assert_eq!(
        first.text().await.expect("a body"),
        second.text().await.expect("a body")
    );
    assert_eq!(bench.localstripe.intents().await, 1);

    let (_, other_key) = bench.send(INTENTS, "two", &intent(700)).await;
    assert!(!replayed(&other_key));
    let (_, other_account) = bench.send_as("sk_test_2", INTENTS, "one", &intent(700)).await;
    assert!(!replayed(&other_account));
    assert_eq!(bench.localstripe.intents().await, 3);
}

#[tokio::test]
async fn a_key_used_for_something_else_is_refused() {
    let bench = Bench::start().await;
    bench.send(INTENTS, "one", &intent(700)).await;
    let (status, response) = bench.send(INTENTS, "one", &intent(701)).await;
    assert_eq!(
        (status, error(response).await.0.as_str()),
        (400, "idempotency_error")
    );
    let (status, response) = bench.send("/v1/customers", "one", &intent(700)).await;
    assert_eq!(
        (status, error(response).await.0.as_str()),
        (400, "idempotency_error")
    );
    let (status, _) = bench.send(INTENTS, &"k".repeat(256), &intent(700)).await;
    assert_eq!(status, 400);
    assert_eq!(bench.localstripe.intents().await, 1);
    let (status, _) = bench.send(INTENTS, &"k".repeat(255), &intent(700)).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_decline_is_kept_and_what_failed_validation_is_not() {
    let bench = Bench::start().await;
    let declined = intent(700).replace("pm_card_visa", "pm_card_chargeCustomerFail");
    assert_eq!(bench.send(INTENTS, "declined", &declined).await.0, 402);
    let (status, again) = bench.send(INTENTS, "declined", &declined).await;
    assert_eq!((status, replayed(&again)), (402, true));
    let body: Value = again.json().await.expect("JSON");
    let intent_of = &body["error"]["payment_intent"];
    assert_eq!(intent_of["object"], "payment_intent", "{body}");
    assert_eq!(intent_of["status"], "requires_payment_method", "{body}");

    assert_eq!(
        bench.send(INTENTS, "mended", "amount=-1&currency=usd").await.0,
        400
    );
    let (status, mended) = bench.send(INTENTS, "mended", &intent(700)).await;
    assert_eq!((status, replayed(&mended)), (200, false));
}

#[tokio::test]
async fn a_500_is_kept() {
    let bench = Bench::start().await;
    bench
        .front
        .inject(FaultRule::once(Fault::ServerError, "POST", INTENTS));
    assert_eq!(bench.send(INTENTS, "one", &intent(700)).await.0, 500);
    let (status, again) = bench.send(INTENTS, "one", &intent(700)).await;
    assert_eq!((status, replayed(&again)), (500, true));
    assert_eq!(bench.localstripe.intents().await, 0);
}

#[tokio::test]
async fn of_many_at_once_one_is_executed_and_the_others_are_told_so() {
    let bench = Bench::start().await;
    let body = intent(700);
    let burst = (0..50).map(|_| bench.send(INTENTS, "burst", &body));
    let mut executed = 0;
    for (status, response) in futures::future::join_all(burst).await {
        match (status, replayed(&response)) {
            (200, false) => executed += 1,
            (200, true) => {}
            (409, _) => assert_eq!(error(response).await.1, "idempotency_key_in_use"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((executed, bench.localstripe.intents().await), (1, 1));
}

#[tokio::test]
async fn without_localstripe_nothing_is_kept() {
    let mut bench = Bench::start().await;
    bench.localstripe.stop().await;
    assert_eq!(bench.send(INTENTS, "one", &intent(700)).await.0, 503);
    bench.localstripe.restart().await;
    let (status, response) = bench.send(INTENTS, "one", &intent(700)).await;
    assert_eq!((status, replayed(&response)), (200, false));
}
