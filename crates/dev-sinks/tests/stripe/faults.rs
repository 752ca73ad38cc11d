//! What goes wrong on purpose.

use std::time::Duration;

use banyan_dev_sinks::stripe::{Fault, FaultRule};
use serde_json::json;

use crate::support::{Bench, INTENTS, LIMIT, intent, replayed};

#[tokio::test]
async fn a_lost_answer_is_found_again_with_the_key() {
    let bench = Bench::start().await;
    bench
        .front
        .inject(FaultRule::once(Fault::AnswerLost, "POST", INTENTS));
    let lost = bench.post(INTENTS, "one", &intent(700)).send().await;
    lost.expect_err("no answer");
    assert_eq!(
        bench.localstripe.intents().await,
        1,
        "it was charged all the same"
    );
    let (status, found) = bench.send(INTENTS, "one", &intent(700)).await;
    assert_eq!((status, replayed(&found)), (200, true));
    assert_eq!(bench.localstripe.intents().await, 1);
}

#[tokio::test]
async fn a_reset_and_a_429_execute_and_keep_nothing() {
    let bench = Bench::start().await;
    bench.front.inject(FaultRule::once(Fault::Reset, "POST", INTENTS));
    bench
        .front
        .inject(FaultRule::once(Fault::RateLimit, "POST", INTENTS));
    let reset = bench
        .post(INTENTS, "one", &intent(700))
        .send()
        .await
        .expect_err("no answer");
    let chain = format!("{reset:?}");
    assert!(chain.contains("ConnectionReset"), "{chain}");
    assert_eq!(bench.send(INTENTS, "one", &intent(700)).await.0, 429);
    assert_eq!(bench.localstripe.intents().await, 0);
    let (status, executed) = bench.send(INTENTS, "one", &intent(700)).await;
    assert_eq!((status, replayed(&executed)), (200, false));
}

#[tokio::test]
async fn a_delayed_request_holds_its_key_and_runs_to_its_end_without_its_client() {
    let bench = Bench::start().await;
    bench
        .front
        .inject(FaultRule::once(Fault::Delay, "POST", INTENTS).delayed_by(Duration::from_millis(1500)));
    let request = bench
        .post(INTENTS, "one", &intent(700))
        .timeout(Duration::from_millis(300));
    assert!(request.send().await.expect_err("no answer in time").is_timeout());
    assert_eq!(bench.send(INTENTS, "one", &intent(700)).await.0, 409);
    let ended = |exchanges: &[banyan_dev_sinks::stripe::Exchange]| exchanges[0].done && exchanges[0].executed;
    bench
        .front
        .wait_for_requests(LIMIT, ended)
        .await
        .expect("it ends");
    let (status, found) = bench.send(INTENTS, "one", &intent(700)).await;
    assert_eq!((status, replayed(&found)), (200, true));
    assert_eq!(bench.localstripe.intents().await, 1);
}

#[tokio::test]
async fn faults_are_set_and_cleared_over_http_and_requests_are_listed() {
    let bench = Bench::start().await;
    let rule = json!({"match": {"method": "POST", "path": INTENTS}, "fault": "rate_limit", "times": 2});
    assert_eq!(bench.control("faults", rule).await, 201);
    assert_eq!(bench.control("faults", json!({"fault": "misspelt"})).await, 422);
    assert_eq!(bench.send(INTENTS, "one", &intent(700)).await.0, 429);
    assert_eq!(bench.read("faults").await[0]["times"], 1);
    let cleared = reqwest::Client::new()
        .delete(format!("{}/_front/faults", bench.front.url()))
        .send()
        .await;
    assert_eq!(cleared.expect("an answer").status(), 204);
    assert_eq!(bench.send(INTENTS, "two", &intent(700)).await.0, 200);
    assert_eq!(bench.send(INTENTS, "two", &intent(700)).await.0, 200);
    let listed = bench.read("requests?key=two").await;
    let seen: Vec<_> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (&one["executed"], &one["replayed"], &one["status"]))
        .collect();
    assert_eq!(
        seen,
        [
            (&json!(true), &json!(false), &json!(200)),
            (&json!(false), &json!(true), &json!(200))
        ]
    );
    assert_eq!(
        bench.read("requests?key=one").await[0]["faults"],
        json!(["rate_limit"])
    );
}
