//! Many at once.

use std::sync::Arc;

use axum::response::IntoResponse;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::{Call, Stage, said, write_once};

/// Sends it `count` times at once: how many were answered first, replayed, and refused as running.
async fn burst(call: &Call, count: usize) -> (usize, usize, usize) {
    let answers = futures::future::join_all((0..count).map(|_| call.begin())).await;
    let (mut first, mut replayed, mut running) = (0, 0, 0);
    for answer in answers {
        let answer = answer.unwrap();
        if answer.status == 409 {
            assert_eq!(answer.problem(), (409, "idempotency-key-in-use".into()));
            running += 1;
        } else {
            assert_eq!(answer.said(), (201, json!("once")));
            if answer.replayed() {
                replayed += 1;
            } else {
                first += 1;
            }
        }
    }
    (first, replayed, running)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_at_once_one_runs() {
    let stage = Stage::new(|work| async move { write_once(&work, "once").await }).await;
    for round in 0..4 {
        let call = stage.call().key(&format!("round {round}"));
        let (first, replayed, running) = burst(&call, 50).await;
        assert_eq!((first, replayed + running), (1, 49));
    }
    assert_eq!((stage.runs(), stage.things().await.len()), (4, 4));
}

#[tokio::test]
async fn while_one_runs_the_others_are_told_to_come_again() {
    let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let stage = Stage::new({
        let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
        move |work| {
            let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
            async move {
                begun.add_permits(1);
                gate.acquire().await.unwrap().forget();
                write_once(&work, "once").await
            }
        }
    })
    .await;
    let first = stage.call().begin();
    begun.acquire().await.unwrap().forget();
    let second = stage.call().send().await;
    assert_eq!(second.problem(), (409, "idempotency-key-in-use".into()));
    assert_eq!(second.header("retry-after"), Some("1"));
    assert_eq!(
        second.json()["detail"],
        "A request with this Idempotency-Key is still running."
    );
    let other = stage.call().text("b").send().await;
    assert_eq!(
        other.problem(),
        (422, "idempotency-key-reused".into()),
        "also while it runs"
    );
    gate.add_permits(1);
    assert_eq!(first.await.unwrap().said(), (201, json!("once")));
    assert!(stage.call().send().await.replayed());
    assert_eq!(stage.runs(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_that_would_take_over_one_does() {
    let stage = Stage::new(|work| async move {
        if work.claimed.taken_over() {
            return write_once(&work, "once").await;
        }
        said(202, "not yet").into_response()
    })
    .await;
    for round in 0..4 {
        let call = stage.call().key(&format!("round {round}"));
        assert_eq!(call.send().await.status, 202);
        let (first, replayed, running) = burst(&call, 50).await;
        assert_eq!((first, replayed + running), (1, 49));
    }
    assert_eq!(stage.things().await.len(), 4);
}

/// Expired keys are deleted and made anew; also then one wins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_that_find_the_key_expired_one_runs() {
    let stage = Stage::new(|work| async move { write_once(&work, "once").await }).await;
    for round in 1..=4 {
        let (first, replayed, running) = burst(&stage.call(), 50).await;
        assert_eq!((first, replayed + running), (1, 49));
        assert_eq!(stage.runs(), round);
        sqlx::raw_sql("UPDATE idempotency_key SET expires_at = now()")
            .execute(&stage.db.pool)
            .await
            .unwrap();
    }
}
