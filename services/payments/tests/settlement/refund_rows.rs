//! Refunds whose rows others made: the monolith, Stripe's dashboard; and what becomes of a refund after it succeeded.

use payments::domain::fingerprint;
use payments::domain::money::{Currency, CurrencyCode, Minor};
use payments::domain::payment::Reason;
use payments::domain::refund::{RefundOutcome, RefundStatus};
use payments::use_cases::adopt_refund::adopt_refund;
use payments::use_cases::settle_refund::settle_refund;
use serde_json::json;

use crate::world::{REFUNDS, World, new_key};

fn id(path: &str) -> i64 {
    path.rsplit('/').next().unwrap().parse().unwrap()
}

fn outcome(status: RefundStatus, stripe_id: &str) -> RefundOutcome {
    RefundOutcome {
        stripe_id: Some(stripe_id.to_owned()),
        code: (status == RefundStatus::Failed).then(|| "lost_or_stolen_card".to_owned()),
        status,
    }
}

/// A row as the sync writes it: 4.00 under the key `k`.
async fn synced(world: &World, path: &str, status: &'static str, finished: bool, age_seconds: i64) {
    let usd = Currency::new(CurrencyCode::new("USD").unwrap(), 2).unwrap();
    let print = fingerprint::refund(id(path), Some(Minor(400)), usd, None);
    sqlx::query(
        "INSERT INTO refund (id, payment_id, amount_minor, currency, status, idempotency_key, request_fingerprint, failure_code,
           started_at, finished_at, created_at)
         SELECT 7, $1, 400, 'USD', $2, 'k', $3, CASE $2 WHEN 'failed' THEN 'refused' END, at,
           CASE WHEN $4 THEN at END, at FROM (SELECT now() - $5 * interval '1 second' AS at) t",
    )
    .bind(id(path))
    .bind(status)
    .bind(print)
    .bind(finished)
    .bind(age_seconds)
    .execute(&world.db.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_key_that_made_a_refund_at_the_monolith_makes_no_second_one() {
    let world = World::start().await;
    let path = world.paid().await;
    synced(&world, &path, "failed", true, 5).await;
    let again = world.refund(&path, "k", &json!({ "amount": "4.00" })).await;
    assert_eq!((again.status.as_u16(), &again.json()["id"]), (402, &json!(7)));
    assert!(again.is_replayed());
    let other = world.refund(&path, "k", &json!({ "amount": "5.00" })).await;
    assert_eq!(other.problem(), "idempotency-key-reused");
    assert_eq!(world.keys_sent(REFUNDS), Vec::<String>::new());
}

#[tokio::test]
async fn one_that_may_be_under_way_elsewhere_is_left_alone_and_one_that_ended_is_asked_for_again() {
    let world = World::start().await;
    let path = world.paid().await;
    synced(&world, &path, "pending", false, 5).await;
    let running = world.refund(&path, "k", &json!({ "amount": "4.00" })).await;
    assert_eq!(running.problem(), "idempotency-key-in-use", "{running:?}");
    let mismatch = world.refund(&path, "k", &json!({})).await;
    assert_eq!(mismatch.problem(), "idempotency-key-reused");
    world.run("UPDATE refund SET finished_at = now()").await;
    let asked = world.refund(&path, "k", &json!({ "amount": "4.00" })).await;
    assert_eq!((asked.status.as_u16(), &asked.json()["id"]), (201, &json!(7)));
    assert_eq!(world.keys_sent(REFUNDS), [format!("refund:{}:k", id(&path))]);
    world.assert_consistent().await;
}

/// A process that was killed between its two commits leaves this behind.
#[tokio::test]
async fn one_whose_process_died_is_taken_over_after_its_lease() {
    let world = World::start().await;
    let path = world.paid().await;
    synced(&world, &path, "pending", false, 61).await;
    let asked = world.refund(&path, "k", &json!({ "amount": "4.00" })).await;
    assert_eq!(asked.status, 201, "{asked:?}");
    assert_eq!(world.refunded_at_stripe().await, [400]);
}

#[tokio::test]
async fn what_stripe_may_have_forgotten_is_not_asked_for_again() {
    let world = World::start().await;
    let path = world.paid().await;
    synced(&world, &path, "pending", true, 23 * 3600 + 1).await;
    let waiting = world.refund(&path, "k", &json!({ "amount": "4.00" })).await;
    assert_eq!(waiting.status, 202, "{waiting:?}");
    assert_eq!(world.keys_sent(REFUNDS), Vec::<String>::new());
    // The key stays open for the outcome.
    world
        .run("UPDATE refund SET status = 'succeeded', stripe_refund_id = 're_1', completed_at = now()")
        .await;
    let known = world.refund(&path, "k", &json!({ "amount": "4.00" })).await;
    assert_eq!(known.status, 201, "{known:?}");
}

#[tokio::test]
async fn a_refund_that_fails_after_it_succeeded_is_taken_back_once() {
    let world = World::start().await;
    let path = world.paid().await;
    let first = world.refund(&path, "a", &json!({ "amount": "4" })).await.json();
    let second = world.refund(&path, "b", &json!({})).await.json();
    world.run("UPDATE payment SET payout_due = false").await;
    for (refund, status, refunded) in [
        (&first, "partially_refunded", "6.00"),
        (&second, "completed", "0.00"),
    ] {
        let refund_id = refund["id"].as_i64().unwrap();
        let failed = outcome(RefundStatus::Failed, refund["stripeRefundId"].as_str().unwrap());
        for _ in 0..2 {
            let settled = settle_refund(&world.env, refund_id, &failed, Reason::Webhook).await;
            assert_eq!(settled.unwrap().unwrap().status, RefundStatus::Failed);
        }
        let payment = world.get(&path).await.json();
        assert_eq!(
            (&payment["status"], &payment["amountRefunded"]),
            (&json!(status), &json!(refunded))
        );
        world.assert_consistent().await;
    }
    let kinds = "SELECT kind FROM ledger_transaction WHERE refund_id IS NOT NULL ORDER BY id";
    assert_eq!(
        world.texts(kinds).await,
        ["refund", "refund", "refund_failed", "refund_failed"]
    );
    assert_eq!(
        world.count("SELECT count(*) FROM payment WHERE payout_due").await,
        1
    );
    assert_eq!(
        world
            .texts("SELECT DISTINCT failure_code FROM refund WHERE completed_at IS NOT NULL")
            .await,
        ["lost_or_stolen_card"]
    );
    assert_eq!(
        world
            .count("SELECT count(*) FROM outbox WHERE type = 'payment.refunded'")
            .await,
        2,
        "the event tells of money that was given back, whatever became of it"
    );
    // What came back can be given back again.
    assert_eq!(
        world.refund(&path, &new_key(), &json!({})).await.json()["amount"],
        "10.00"
    );
}

#[tokio::test]
async fn a_disputed_payment_stays_disputed_whatever_its_refunds_do() {
    let world = World::start().await;
    let path = world.paid().await;
    let refund = world.refund(&path, "k", &json!({ "amount": "4" })).await.json();
    world.run("UPDATE payment SET status = 'disputed'").await;
    let failed = outcome(RefundStatus::Failed, "re_other");
    let refund_id = refund["id"].as_i64().unwrap();
    settle_refund(&world.env, refund_id, &failed, Reason::Webhook)
        .await
        .unwrap();
    let payment = world.get(&path).await.json();
    assert_eq!(
        (&payment["status"], &payment["amountRefunded"]),
        (&json!("disputed"), &json!("0.00"))
    );
    let refused = world.refund(&path, &new_key(), &json!({})).await;
    assert_eq!(refused.problem(), "invalid-state");
    world.assert_consistent().await;
}

#[tokio::test]
async fn a_refund_of_the_dashboard_is_adopted_once_and_counts() {
    let world = World::start().await;
    let path = world.paid().await;
    let adopt = || adopt_refund(&world.env, id(&path), "re_dashboard", Minor(300));
    let (one, two) = tokio::join!(adopt(), adopt());
    let (one, two) = (one.unwrap().unwrap(), two.unwrap().unwrap());
    assert_eq!(one.id, two.id);
    assert!(
        adopt_refund(&world.env, 1, "re_nobody", Minor(300))
            .await
            .unwrap()
            .is_none()
    );
    let more = world
        .refund(&path, &new_key(), &json!({ "amount": "7.01" }))
        .await;
    assert_eq!(more.status, 422, "pending ones count");
    let succeeded = outcome(RefundStatus::Succeeded, "re_dashboard");
    settle_refund(&world.env, one.id, &succeeded, Reason::Webhook)
        .await
        .unwrap();
    assert_eq!(world.get(&path).await.json()["amountRefunded"], "3.00");
    world.assert_consistent().await;
}

#[tokio::test]
async fn a_refund_waits_for_the_completion_of_its_payment() {
    let world = World::start().await;
    let path = world.reserved().await;
    let adopted = adopt_refund(&world.env, id(&path), "re_early", Minor(300)).await;
    let refund_id = adopted.unwrap().unwrap().id;
    let succeeded = outcome(RefundStatus::Succeeded, "re_early");
    let settle = || settle_refund(&world.env, refund_id, &succeeded, Reason::Webhook);
    assert_eq!(settle().await.unwrap().unwrap().status, RefundStatus::Pending);
    assert_eq!(world.capture(&path, &json!({})).await.status, 200);
    assert_eq!(settle().await.unwrap().unwrap().status, RefundStatus::Succeeded);
    world.assert_consistent().await;
}
