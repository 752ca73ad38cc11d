//! Finding out what became of refunds.

use banyan_dev_sinks::stripe::Fault;
use serde_json::json;

use crate::world::{REFUNDS, World, reconcile_with};

#[tokio::test]
async fn a_refund_that_happened_is_found_and_not_repeated() {
    let world = World::start().await;
    let path = world.paid().await;
    world.breaks(Fault::AnswerLost, REFUNDS, 1);
    assert_eq!(
        world.refund(&path, "k", &json!({ "amount": "6" })).await.status,
        202
    );
    assert_eq!(
        world.reconcile().await.seen,
        0,
        "a young one is left to its request"
    );
    world.age(5).await;
    assert_eq!(world.reconcile().await.settled, 1);
    assert_eq!(world.keys_sent(REFUNDS).len(), 1);
    let known = world.refund(&path, "k", &json!({ "amount": "6" })).await;
    assert_eq!((known.status.as_u16(), known.is_replayed()), (201, true));
    assert_eq!(world.refunded_at_stripe().await, [600]);
    world.assert_consistent().await;
}

#[tokio::test]
async fn one_that_never_arrived_is_asked_for_again_under_the_same_key() {
    let world = World::start().await;
    let path = world.paid().await;
    world.breaks(Fault::Reset, REFUNDS, 1);
    assert_eq!(world.refund(&path, "k", &json!({})).await.status, 202);
    world.age(5).await;
    assert_eq!(world.reconcile().await.settled, 1);
    let keys = world.keys_sent(REFUNDS);
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    assert_eq!(world.get(&path).await.json()["status"], "refunded");
    world.assert_consistent().await;
}

#[tokio::test]
async fn one_that_stripe_never_had_fails_after_a_day_and_gives_its_amount_free() {
    let world = World::start().await;
    let path = world.paid().await;
    world.breaks(Fault::ServerError, REFUNDS, 1);
    assert_eq!(world.refund(&path, "k", &json!({})).await.status, 202);
    world.age(5).await;
    assert_eq!(
        world.reconcile().await.settled,
        0,
        "Stripe keeps the 500 for the key"
    );
    world.age(23 * 60).await;
    assert_eq!(world.reconcile().await.settled, 0);
    assert_eq!(world.keys_sent(REFUNDS).len(), 2, "no new POST after 23 hours");
    world.age(2 * 60).await;
    assert_eq!(world.reconcile().await.settled, 1);
    let failed = world.refund(&path, "k", &json!({})).await;
    assert_eq!(
        (failed.status.as_u16(), &failed.json()["failureCode"]),
        (402, &json!("not_processed"))
    );
    assert_eq!(world.refund(&path, "other", &json!({})).await.status, 201);
    world.assert_consistent().await;
}

/// What comes too late is given back by a row that no request made and Stripe was never asked for.
#[tokio::test]
async fn a_refund_that_nobody_asked_stripe_for_yet_is_made() {
    let world = World::start().await;
    let path = world.paid().await;
    world
        .run("INSERT INTO refund (payment_id, amount_minor, currency, idempotency_key) SELECT id, 1000, 'USD', 'unwanted:1' FROM payment")
        .await;
    assert_eq!(world.reconcile().await.settled, 1);
    assert_eq!(world.get(&path).await.json()["status"], "refunded");
    assert_eq!(world.refunded_at_stripe().await, [1000]);
    world.assert_consistent().await;
}

/// That Stripe does not have what it named once hints at a wrong key, not at a refund that came to nothing.
#[tokio::test]
async fn one_that_stripe_named_and_does_not_have_is_neither_repeated_nor_given_up() {
    let world = World::start().await;
    world.paid().await;
    world
        .run("INSERT INTO refund (payment_id, amount_minor, currency, idempotency_key, stripe_refund_id, created_at)
              SELECT id, 1000, 'USD', 'k', 're_elsewhere', now() - interval '9 days' FROM payment")
        .await;
    let tally = world.reconcile().await;
    assert_eq!((tally.seen, tally.settled), (1, 0));
    assert_eq!(world.keys_sent(REFUNDS), Vec::<String>::new());
    assert_eq!(world.texts("SELECT status FROM refund").await, ["pending"]);
}

#[tokio::test]
async fn two_instances_refund_once() {
    let world = World::start().await;
    for (number, fault) in [Fault::AnswerLost, Fault::Reset, Fault::Reset]
        .into_iter()
        .enumerate()
    {
        let path = world.paid().await;
        world.breaks(fault, REFUNDS, 1);
        let key = format!("k{number}");
        assert_eq!(
            world.refund(&path, &key, &json!({ "amount": "6" })).await.status,
            202
        );
    }
    world.age(5).await;
    tokio::join!(world.reconcile(), reconcile_with(&world.env));
    assert_eq!(world.refunded_at_stripe().await, [600; 3]);
    assert_eq!(
        world
            .count("SELECT count(*) FROM refund WHERE status = 'succeeded'")
            .await,
        3
    );
    world.assert_consistent().await;
}
