//! A relay that sleeps is woken by a commit, never by the clock.

use std::time::Duration;

use banyan_messaging::RelayConfig;
use banyan_test_support::wait_until;
use uuid::Uuid;

use crate::support::{SOON, Stage};

/// So slow that nothing in these tests comes from it.
fn slow_poll() -> RelayConfig {
    RelayConfig {
        poll_interval_ms: 600_000,
        ..RelayConfig::default()
    }
}

#[tokio::test]
async fn a_commit_wakes_the_relay_at_once() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    let relay = stage.start_relay("relay", slow_poll());
    for round in 1..=5 {
        stage.asleep().await;
        stage.write("payment/1").await;
        tap.messages(round).await;
    }
    stage.asleep().await;
    relay.stop().await;
}

#[tokio::test]
async fn it_sleeps_through_a_rollback_and_never_publishes_it() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    let relay = stage.start_relay("relay", slow_poll());
    stage.asleep().await;
    let mut transaction = stage.pool().begin().await.unwrap();
    sqlx::query("INSERT INTO outbox (id, subject, type, payload) VALUES ($1, 'user/1', 'user.signup', '{}')")
        .bind(Uuid::now_v7())
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    let kept = stage.write("user/1").await;
    let seen = tap.messages(1).await;
    assert_eq!(seen[0].id, kept);
    assert_eq!(seen[0].sequence, 2, "a number that was rolled back leaves a gap");
    stage.all_marked().await;
    relay.stop().await;
    assert_eq!(tap.seen().len(), 1);
}

/// The moments between a relay's last look and its sleep, and between a writer's insert and its commit, are where a
/// wake-up could be lost; writers fall into them at random here. A lost one would wait for the poll.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost() {
    const ROUNDS: usize = 300;
    const WRITERS: usize = 3;
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    let relay = stage.start_relay("relay", slow_poll());
    stage.led().await;
    for round in 1..=ROUNDS {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let pool = stage.pool().clone();
            // Spread over the time in which the relay falls asleep.
            let after = Duration::from_micros(rand_micros());
            writers.spawn(async move {
                tokio::time::sleep(after).await;
                let mut transaction = pool.begin().await.unwrap();
                sqlx::query(
                    "INSERT INTO outbox (id, subject, type, payload) VALUES ($1, $2, 'user.signup', '{}')",
                )
                .bind(Uuid::now_v7())
                .bind(format!("user/{writer}"))
                .execute(&mut *transaction)
                .await
                .unwrap();
                transaction.commit().await.unwrap();
            });
        }
        writers.join_all().await;
        tap.messages(round * WRITERS).await;
    }
    relay.stop().await;
    assert_eq!(tap.seen().len(), ROUNDS * WRITERS);
}

/// From 0 to 4 milliseconds.
fn rand_micros() -> u64 {
    u64::try_from(Uuid::new_v4().as_u128() % 4_000).unwrap()
}

#[tokio::test]
async fn a_sleeping_relay_stops_when_it_is_told() {
    let stage = Stage::new().await;
    let relay = stage.start_relay("relay", slow_poll());
    stage.asleep().await;
    tokio::time::timeout(SOON, relay.stop()).await.unwrap();
    // The server notices the end of a connection a moment after its client.
    wait_until(
        "the lead to be given up",
        SOON,
        async || stage.leader().await,
        Option::is_none,
    )
    .await;
    wait_until(
        "the sleep to be over",
        SOON,
        async || stage.sleeper().await,
        Option::is_none,
    )
    .await;
}
