//! The orderly stop.

use std::time::{Duration, Instant};

use banyan_test_support::client;

use crate::fixture::{GATE_KEEPER, open, readyz, serve, somebody_waits, task_done};

#[tokio::test]
async fn a_request_in_flight_finishes() {
    let _keeper = GATE_KEEPER.lock().await;
    let service = serve(&[("shutdown.drain_seconds", "20")]).await;
    let url = format!("{}/gate/slow", service.url());
    let ok = format!("{}/ok", service.url());
    let request = tokio::spawn(async move { client().get(url).send().await.unwrap().text().await.unwrap() });
    somebody_waits().await;
    service.stop();
    let finished = tokio::spawn(service.finished());
    banyan_test_support::wait_for(
        "the listener to close",
        Duration::from_secs(5),
        async || match client().get(&ok).send().await {
            Ok(answer) => Err(format!("still answers {}", answer.status())),
            Err(_) => Ok(()),
        },
    )
    .await;
    assert!(!finished.is_finished(), "it must wait for the request");
    open();
    assert_eq!(request.await.unwrap(), "slow");
    assert!(finished.await.unwrap(), "it was a clean stop");
}

#[tokio::test]
async fn a_task_in_flight_finishes() {
    let _keeper = GATE_KEEPER.lock().await;
    let service = serve(&[]).await;
    let answer = client()
        .post(format!("{}/task/charge", service.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    somebody_waits().await;
    service.stop();
    let finished = tokio::spawn(service.finished());
    assert!(!task_done());
    open();
    assert!(finished.await.unwrap());
    assert!(task_done(), "the task was cut off");
}

#[tokio::test]
async fn the_drain_is_bounded() {
    let _keeper = GATE_KEEPER.lock().await;
    let service = serve(&[("shutdown.drain_seconds", "1")]).await;
    let url = format!("{}/gate/stuck", service.url());
    let request = tokio::spawn(async move { client().get(url).send().await });
    somebody_waits().await;
    let started = Instant::now();
    service.stop();
    assert!(
        !service.finished().await,
        "a request that never ends is no clean stop"
    );
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "stopped after {:?}",
        started.elapsed()
    );
    request.abort();
}

#[tokio::test]
async fn in_the_grace_it_serves_and_says_that_it_stops() {
    let service = serve(&[("shutdown.grace_ms", "1500")]).await;
    let (url, address) = (format!("{}/ok", service.url()), service.url());
    service.stop();
    let (status, report) = readyz(&service).await;
    assert_eq!(
        (status, report["status"].as_str()),
        (503, Some("stopping")),
        "at once"
    );
    assert_eq!(
        client().get(&url).send().await.unwrap().status(),
        200,
        "but it still serves"
    );
    assert!(service.finished().await);
    assert!(
        client().get(address).send().await.is_err(),
        "and is gone in the end"
    );
}
