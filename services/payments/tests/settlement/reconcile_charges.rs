//! Finding out what became of charges.

use banyan_dev_sinks::stripe::Fault;
use payments::use_cases::Env;
use serde_json::json;

use crate::world::{INTENTS, World, order, reconcile_with};

#[tokio::test]
async fn a_charge_that_happened_is_found_and_not_repeated() {
    let world = World::start().await;
    world.paid().await; // The customer is known from here on.
    world.breaks(Fault::AnswerLost, INTENTS, 1);
    assert_eq!(world.charge("k", &order(true)).await.status, 202);
    assert_eq!(
        world.reconcile().await.seen,
        0,
        "a young one is left to its request"
    );
    world.age(5).await;
    let tally = world.reconcile().await;
    assert_eq!((tally.seen, tally.settled), (1, 1));
    assert_eq!(world.keys_sent(INTENTS).len(), 2);
    let known = world.charge("k", &order(true)).await;
    assert_eq!(
        (known.status.as_u16(), &known.json()["status"]),
        (201, &json!("completed"))
    );
    assert!(known.is_replayed());
    assert_eq!(world.reconcile().await.seen, 0);
    assert_eq!(
        world
            .texts("SELECT reason FROM payment_status_change WHERE to_status = 'completed' ORDER BY id")
            .await,
        ["charge", "reconcile"]
    );
    world.assert_consistent().await;
}

#[tokio::test]
async fn one_that_never_arrived_is_asked_for_again_under_the_same_key() {
    let world = World::start().await;
    world.breaks(Fault::Reset, INTENTS, 1);
    assert_eq!(world.charge("k", &order(true)).await.status, 202);
    world.age(5).await;
    assert_eq!(world.reconcile().await.settled, 1);
    assert_eq!(world.keys_sent(INTENTS), ["charge:42:k"; 2]);
    assert_eq!(
        world
            .texts("SELECT number || ' ' || status FROM payment_attempt ORDER BY number")
            .await,
        ["1 unknown", "2 succeeded"]
    );
    world.assert_consistent().await;
}

/// A process that was killed before its call leaves a payment whose attempt nobody ended.
#[tokio::test]
async fn one_whose_process_died_before_the_call_is_made() {
    let world = World::start().await;
    world.breaks(Fault::Reset, INTENTS, 1);
    world.charge("k", &order(false)).await;
    world
        .run("UPDATE payment_attempt SET status = 'started', error_code = NULL, finished_at = NULL")
        .await;
    world.age(5).await;
    assert_eq!(world.reconcile().await.settled, 1);
    assert_eq!(
        world.texts("SELECT status FROM payment").await,
        ["requires_capture"]
    );
    assert_eq!(world.stripe.all("payment_intents").await.len(), 1);
}

#[tokio::test]
async fn a_decline_whose_answer_got_lost_is_found() {
    let world = World::start().await;
    let mut body = order(true);
    body["paymentMethodId"] = "pm_card_chargeDeclined".into();
    assert_eq!(
        world.charge("first", &body).await.status,
        402,
        "the card is there from here on"
    );
    world.breaks(Fault::AnswerLost, INTENTS, 1);
    assert_eq!(world.charge("k", &body).await.status, 202);
    world.age(5).await;
    assert_eq!(world.reconcile().await.settled, 1);
    assert_eq!(world.charge("k", &body).await.status, 402);
    let failed = "SELECT count(*) FROM outbox WHERE type = 'payment.failed'";
    assert_eq!(world.count(failed).await, 2);
}

/// Stripe keeps a 500 for the key, so asking again tells nothing new; only that it has no such intent counts, and late.
#[tokio::test]
async fn after_a_day_stripe_is_only_asked_what_it_has() {
    let world = World::start().await;
    world.breaks(Fault::ServerError, INTENTS, 1);
    assert_eq!(world.charge("k", &order(true)).await.status, 202);
    world.age(5).await;
    let tally = world.reconcile().await;
    assert_eq!((tally.seen, tally.settled), (1, 0), "unknown is never failed");
    assert_eq!(world.keys_sent(INTENTS).len(), 2);
    world.age(23 * 60).await;
    assert_eq!(world.reconcile().await.settled, 0);
    assert_eq!(world.keys_sent(INTENTS).len(), 2, "no new POST after 23 hours");
    assert_eq!(world.charge("k", &order(true)).await.status, 202);
    assert_eq!(world.keys_sent(INTENTS).len(), 2, "nor by the client");
    world.age(2 * 60).await;
    assert_eq!(world.reconcile().await.settled, 1);
    assert_eq!(world.keys_sent(INTENTS).len(), 2);
    assert_eq!(
        world
            .texts("SELECT status || ' ' || failure_code FROM payment")
            .await,
        ["failed not_processed"]
    );
    assert_eq!(world.charge("k", &order(true)).await.status, 402);
    world.assert_consistent().await;
}

/// Found by look-up however late.
#[tokio::test]
async fn a_charge_that_happened_is_found_after_days() {
    let world = World::start().await;
    world.breaks(Fault::AnswerLost, INTENTS, 1);
    world.charge("k", &order(true)).await;
    world.age(3 * 24 * 60).await;
    assert_eq!(world.reconcile().await.settled, 1);
    assert_eq!(world.keys_sent(INTENTS).len(), 1);
    assert_eq!(world.texts("SELECT status FROM payment").await, ["completed"]);
    world.assert_consistent().await;
}

#[tokio::test]
async fn without_its_card_a_charge_that_was_never_made_is_failed() {
    let world = World::start().await;
    world.breaks(Fault::Reset, INTENTS, 1);
    world.charge("k", &order(true)).await;
    world.run("DELETE FROM payment_method").await;
    world.age(5).await;
    assert_eq!(world.reconcile().await.settled, 1);
    assert_eq!(
        world.texts("SELECT failure_code FROM payment").await,
        ["payment_method_removed"]
    );
    assert_eq!(world.keys_sent(INTENTS).len(), 1);
}

#[tokio::test]
async fn two_instances_beside_each_other_double_nothing() {
    let world = World::start().await;
    world.paid().await;
    for (number, fault) in [Fault::AnswerLost, Fault::Reset]
        .into_iter()
        .cycle()
        .take(6)
        .enumerate()
    {
        world.breaks(fault, INTENTS, 1);
        let answer = world.charge(&format!("k{number}"), &order(true)).await;
        assert_eq!(answer.status, 202);
    }
    world.age(5).await;
    let other: Env = world.env.clone();
    tokio::join!(world.reconcile(), reconcile_with(&other));
    // What one of them left because the other was at it is settled by now.
    assert_eq!(
        world
            .count("SELECT count(*) FROM payment WHERE status = 'pending'")
            .await,
        0
    );
    let intents = world.stripe.all("payment_intents").await;
    assert_eq!(intents.len(), 7);
    assert!(intents.iter().all(|intent| intent["status"] == "succeeded"));
    world.assert_consistent().await;
}

#[tokio::test]
async fn nothing_is_settled_while_stripe_is_away_and_all_when_it_is_back() {
    let mut world = World::start_with(&[
        ("stripe.breaker.trip_after", "2"),
        ("stripe.breaker.cool_down_ms", "50"),
    ])
    .await;
    world.paid().await; // Customer and card are there from here on.
    for number in 0..5 {
        let key = format!("k{number}");
        let seeded = "INSERT INTO payment (user_id, customer_id, payment_method_id, currency, amount_minor, idempotency_key,
             request_fingerprint, created_at)
           SELECT 42, c.id, m.id, 'USD', 1000, $1, repeat('0', 64), now() - interval '5 minutes'
           FROM customer c JOIN payment_method m ON m.customer_id = c.id";
        sqlx::query(seeded)
            .bind(key)
            .execute(&world.db.pool)
            .await
            .unwrap();
    }
    world.stripe_mut().go_down().await;
    let tally = world.reconcile().await;
    assert_eq!(tally.settled, 0);
    assert!(tally.seen < 5, "it ends early: {tally:?}");
    assert_eq!(
        world
            .count("SELECT count(*) FROM payment WHERE status = 'pending'")
            .await,
        5
    );
    world.stripe_mut().come_back().await;
    let pending = async || {
        world.reconcile().await;
        world
            .count("SELECT count(*) FROM payment WHERE status = 'pending'")
            .await
    };
    let bound = std::time::Duration::from_secs(20);
    banyan_test_support::wait_until("the recovery", bound, pending, |pending| *pending == 0).await;
    assert_eq!(world.stripe.all("payment_intents").await.len(), 6);
    world.assert_consistent().await;
}
