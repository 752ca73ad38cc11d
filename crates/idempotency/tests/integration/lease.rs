//! Crashes, slow holders, and who goes on after them.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::response::IntoResponse;
use banyan_idempotency::Options;
use banyan_service_kit::Problem;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use crate::support::{
    Call, SOON, Stage, Work, end_leases, listener, prepared, router, said, serve, things, write_once,
    write_thing,
};

#[tokio::test]
async fn a_slow_holder_that_was_taken_over_changes_nothing_any_more() {
    let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let stage = Stage::new({
        let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
        move |work| {
            let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
            async move {
                if work.run == 1 {
                    let mut transaction = work.pool.begin().await.unwrap();
                    work.claimed.advance(&mut transaction, "reserved").await.unwrap();
                    transaction.commit().await.unwrap();
                    begun.add_permits(1);
                    gate.acquire().await.unwrap().forget();
                    let mut connection = work.pool.acquire().await.unwrap();
                    let late = work.claimed.advance(&mut connection, "charged").await;
                    assert!(late.is_err(), "the recovery point is the successor's");
                    return write_once(&work, "first").await;
                }
                assert_eq!(
                    (work.claimed.taken_over(), work.claimed.recovery_point()),
                    (true, "reserved")
                );
                write_once(&work, "second").await
            }
        }
    })
    .await;
    let first = stage.call().begin();
    begun.acquire().await.unwrap().forget();
    assert_eq!(stage.call().send().await.status, 409, "the lease still runs");
    stage.end_leases().await;
    let second = stage.call().send().await;
    assert_eq!(
        (second.said(), second.replayed()),
        ((201, json!("second")), false)
    );
    gate.add_permits(1);
    assert_eq!(
        first.await.unwrap().problem(),
        (409, "idempotency-key-in-use".into())
    );
    let third = stage.call().send().await;
    assert_eq!((third.said(), third.replayed()), ((201, json!("second")), true));
    assert_eq!(stage.things().await, ["second"]);
}

#[tokio::test]
async fn a_late_answer_that_the_layer_would_store_does_not_replace_the_stored_one() {
    let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let stage = Stage::new({
        let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
        move |work| {
            let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
            async move {
                if work.run == 1 {
                    begun.add_permits(1);
                    gate.acquire().await.unwrap().forget();
                }
                said(201, work.run).into_response()
            }
        }
    })
    .await;
    let first = stage.call().begin();
    begun.acquire().await.unwrap().forget();
    stage.end_leases().await;
    assert_eq!(stage.call().send().await.said(), (201, json!(2)));
    gate.add_permits(1);
    assert_eq!(
        first.await.unwrap().said(),
        (201, json!(1)),
        "it did what it says"
    );
    assert_eq!(stage.call().send().await.said(), (201, json!(2)));
}

/// A holder that is late and was not taken over still has its claim.
#[tokio::test]
async fn a_lease_that_ran_out_costs_nothing_while_nobody_asks() {
    let stage = Stage::new(|work| async move {
        end_leases(&work.pool).await;
        write_once(&work, "late").await
    })
    .await;
    assert_eq!(stage.call().send().await.said(), (201, json!("late")));
    assert!(stage.call().send().await.replayed());
}

/// A process that can be killed: its tasks end where they stand.
fn process() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// The process dies between the commit of the effect and the stored answer; the next goes on behind the effect.
#[tokio::test]
async fn a_crash_after_the_effect_does_not_repeat_it() {
    let (db, keys) = prepared().await;
    let committed = Arc::new(Semaphore::new(0));
    let handler = {
        let committed = Arc::clone(&committed);
        move |work: Work| {
            let committed = Arc::clone(&committed);
            async move {
                if work.claimed.recovery_point() == "charged" {
                    return said(201, "charged before").into_response();
                }
                let mut transaction = work.pool.begin().await.unwrap();
                write_thing(&mut transaction, "charge").await;
                if let Err(lost) = work.claimed.advance(&mut transaction, "charged").await {
                    return Problem::from(lost).into_response();
                }
                transaction.commit().await.unwrap();
                committed.add_permits(1);
                std::future::pending().await
            }
        }
    };
    let runs = Arc::new(AtomicUsize::new(0));
    let start = |process: &Runtime, listener| {
        // A pool of the process's own: connections belong to the runtime that made them.
        let _in_it = process.enter();
        let pool = sqlx::postgres::PgPoolOptions::new()
            .connect_lazy(&db.url)
            .unwrap();
        let router = router(&pool, Options::new("thing"), &runs, handler.clone());
        process.spawn(serve(listener, router, keys.jwks_url()));
    };

    let (address, first) = listener().await;
    let doomed = process();
    start(&doomed, first);
    let call = Call::new(address, keys.token(7));
    let unanswered = tokio::spawn(async move { call.try_send().await });
    let _ = tokio::time::timeout(SOON, committed.acquire())
        .await
        .unwrap()
        .unwrap();
    doomed.shutdown_background();
    assert!(unanswered.await.unwrap().is_err(), "the answer is lost");
    assert_eq!(things(&db.pool).await, ["charge"]);

    let (address, second) = listener().await;
    let next = process();
    start(&next, second);
    let call = Call::new(address, keys.token(7));
    assert_eq!(
        call.send().await.status,
        409,
        "nobody knows yet that the holder died"
    );
    end_leases(&db.pool).await;
    let answer = call.send().await;
    assert_eq!(
        (answer.said(), answer.replayed()),
        ((201, json!("charged before")), false)
    );
    assert!(call.send().await.replayed());
    assert_eq!(things(&db.pool).await, ["charge"]);
    next.shutdown_background();
}
