//! Finding out what became of captures and cancellations.

use banyan_dev_sinks::stripe::Fault;
use serde_json::json;

use crate::world::{CANCELS, CAPTURES, World, reconcile_with};

const ATTEMPTS: &str =
    "SELECT operation || ' ' || status FROM payment_attempt WHERE operation <> 'charge' ORDER BY number";

#[tokio::test]
async fn a_capture_of_a_part_that_happened_is_found_with_its_amount() {
    let world = World::start().await;
    let path = world.reserved().await;
    world.breaks(Fault::AnswerLost, CAPTURES, 1);
    assert_eq!(world.capture(&path, &json!({ "amount": "8" })).await.status, 202);
    assert_eq!(
        world.reconcile().await.seen,
        0,
        "a young one is left to its request"
    );
    world.age(5).await;
    assert_eq!(world.reconcile().await.settled, 1);
    let payment = world.get(&path).await.json();
    assert_eq!(
        (&payment["status"], &payment["amount"]),
        (&json!("completed"), &json!("8.00"))
    );
    assert_eq!(world.texts(ATTEMPTS).await, ["capture succeeded"]);
    world.assert_consistent().await;
}

#[tokio::test]
async fn one_that_never_arrived_is_asked_for_once_more() {
    let world = World::start().await;
    let (capture, cancel) = (world.reserved().await, world.reserved().await);
    world.breaks(Fault::Reset, CAPTURES, 1);
    world.breaks(Fault::Reset, CANCELS, 1);
    assert_eq!(
        world.capture(&capture, &json!({ "amount": "8" })).await.status,
        202
    );
    assert_eq!(world.cancel(&cancel).await.status, 202);
    world.age(5).await;
    assert_eq!(world.reconcile().await.settled, 2);
    assert_eq!(world.get(&capture).await.json()["amount"], "8.00");
    assert_eq!(world.get(&cancel).await.json()["status"], "canceled");
    let mut attempts = world.texts(ATTEMPTS).await;
    attempts.sort();
    assert_eq!(
        attempts,
        [
            "cancel declined",
            "cancel succeeded",
            "capture declined",
            "capture succeeded"
        ],
        "the first of each is superseded"
    );
    world.assert_consistent().await;
}

/// A process that was killed after its call, before the outcome was written.
#[tokio::test]
async fn a_capture_whose_process_died_after_the_call_is_found() {
    let world = World::start().await;
    let path = world.reserved().await;
    world.breaks(Fault::AnswerLost, CAPTURES, 1);
    world.capture(&path, &json!({})).await;
    world
        .run("UPDATE payment_attempt SET status = 'started', error_code = NULL, finished_at = NULL WHERE operation = 'capture'")
        .await;
    let busy = world.capture(&path, &json!({})).await;
    assert!(
        busy.problem() == "invalid-state" && busy.has_retry_after(),
        "{busy:?}"
    );
    world.age(5).await;
    assert_eq!(world.reconcile().await.settled, 1);
    assert_eq!(world.get(&path).await.json()["status"], "completed");
    world.assert_consistent().await;
}

#[tokio::test]
async fn a_change_that_stripe_has_forgotten_is_given_up_and_makes_room_for_another() {
    let world = World::start().await;
    let path = world.reserved().await;
    world.breaks(Fault::ServerError, CAPTURES, 1);
    assert_eq!(world.capture(&path, &json!({})).await.status, 202);
    world.age(5).await;
    assert_eq!(
        world.reconcile().await.settled,
        0,
        "Stripe keeps the 500 for the key"
    );
    assert_eq!(world.cancel(&path).await.problem(), "invalid-state");
    world.age(23 * 60).await;
    assert_eq!(world.reconcile().await.settled, 1);
    assert_eq!(world.get(&path).await.json()["status"], "requires_capture");
    assert_eq!(world.cancel(&path).await.json()["status"], "canceled");
    world.assert_consistent().await;
}

#[tokio::test]
async fn two_instances_capture_once() {
    let world = World::start().await;
    let mut paths = Vec::new();
    for fault in [Fault::AnswerLost, Fault::Reset, Fault::Reset] {
        let path = world.reserved().await;
        world.breaks(fault, CAPTURES, 1);
        assert_eq!(world.capture(&path, &json!({ "amount": "8" })).await.status, 202);
        paths.push(path);
    }
    world.age(5).await;
    tokio::join!(world.reconcile(), reconcile_with(&world.env));
    for path in paths {
        assert_eq!(world.get(&path).await.json()["amount"], "8.00");
    }
    world.assert_consistent().await;
}
