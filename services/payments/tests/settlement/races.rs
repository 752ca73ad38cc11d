//! Many at once on one payment.

use std::time::Duration;

use banyan_dev_sinks::stripe::{Fault, FaultRule};
use futures::future::join_all;
use payments::domain::payment::Reason;
use payments::domain::refund::{RefundOutcome, RefundStatus};
use payments::use_cases::settle_refund::settle_refund;
use serde_json::json;

use crate::world::{CAPTURES, World, new_key};

#[tokio::test]
async fn refunds_at_once_never_give_back_more_than_was_paid() {
    let world = World::start().await;
    let path = world.paid().await;
    let body = json!({ "amount": "0.90" });
    let keys: Vec<String> = (0..20).map(|_| new_key()).collect();
    let answers = join_all(keys.iter().map(|key| world.refund(&path, key, &body))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    let expected: Vec<u16> = [201; 11].into_iter().chain([422; 9]).collect();
    assert_eq!(statuses, expected, "11 times 0.90 is 9.90");
    assert_eq!(world.refunded_at_stripe().await, [90; 11]);
    assert_eq!(world.get(&path).await.json()["amountRefunded"], "9.90");
    world.assert_consistent().await;
}

#[tokio::test]
async fn a_burst_with_one_key_refunds_once() {
    let world = World::start().await;
    let path = world.paid().await;
    let body = json!({ "amount": "1" });
    let answers = join_all((0..12).map(|_| world.refund(&path, "k", &body))).await;
    for answer in &answers {
        assert!(
            answer.status == 201 || answer.problem() == "idempotency-key-in-use",
            "{answer:?}"
        );
    }
    assert!(answers.iter().any(|answer| answer.status == 201));
    assert_eq!(world.refunded_at_stripe().await, [100]);
    world.assert_consistent().await;
}

#[tokio::test]
async fn of_capture_and_cancel_at_once_one_wins() {
    let world = World::start().await;
    for _ in 0..5 {
        let path = world.reserved().await;
        let body = json!({});
        let (captured, canceled) = tokio::join!(world.capture(&path, &body), world.cancel(&path));
        let statuses = [captured.status.as_u16(), canceled.status.as_u16()];
        let status = match statuses {
            [200, 409] => "completed",
            [409, 200] => "canceled",
            other => panic!("one must win: {other:?}"),
        };
        assert_eq!(world.get(&path).await.json()["status"], status);
    }
    world.assert_consistent().await;
}

#[tokio::test]
async fn captures_at_once_are_asked_for_once() {
    let world = World::start().await;
    let path = world.reserved().await;
    // The first is under way while the others come.
    let slow = FaultRule::once(Fault::Delay, "POST", CAPTURES).delayed_by(Duration::from_secs(1));
    world.stripe.inject(slow);
    let body = json!({ "amount": "5" });
    for answer in join_all((0..10).map(|_| world.capture(&path, &body))).await {
        assert!(
            answer.status == 200 || (answer.problem() == "invalid-state" && answer.has_retry_after()),
            "{answer:?}"
        );
    }
    let attempts = "SELECT count(*) FROM payment_attempt WHERE operation = 'capture'";
    assert_eq!(world.count(attempts).await, 1);
    assert_eq!(world.get(&path).await.json()["amount"], "5.00");
    world.assert_consistent().await;
}

/// The request, the webhook and the job may all hear of the same refund at the same moment.
#[tokio::test]
async fn an_outcome_that_many_bring_is_written_once() {
    let world = World::start().await;
    let path = world.paid().await;
    let refund = world.refund(&path, "k", &json!({})).await.json();
    let refund_id = refund["id"].as_i64().unwrap();
    let failed = RefundOutcome::of(RefundStatus::Failed);
    let succeeded = RefundOutcome::of(RefundStatus::Succeeded);
    let settle = |outcome| settle_refund(&world.env, refund_id, outcome, Reason::Webhook);
    let outcomes = [&failed, &succeeded].into_iter().cycle().take(16);
    for settled in join_all(outcomes.map(settle)).await {
        settled.unwrap();
    }
    let transactions = "SELECT count(*) FROM ledger_transaction WHERE refund_id IS NOT NULL";
    assert_eq!(world.count(transactions).await, 2);
    assert_eq!(world.get(&path).await.json()["status"], "completed");
    world.assert_consistent().await;
}
