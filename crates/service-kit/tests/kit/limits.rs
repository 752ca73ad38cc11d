//! Limits on time and size, with clients that do not play by the rules.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use banyan_test_support::client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixture::serve;
use crate::problems::problem;

/// Sends these bytes and returns what comes back until the server closes.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(
        read.is_ok(),
        "the server keeps the connection open: {}",
        String::from_utf8_lossy(&answer)
    );
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_cut_off() {
    let service = serve(&[("http.request_timeout_ms", "100")]).await;
    let answer = client()
        .get(format!("{}/never", service.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["retry-after"], "1");
    problem(answer, "timeout").await;
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_the_clients_fault() {
    let service = serve(&[("http.request_timeout_ms", "100")]).await;
    let answer = exchange(
        service.address(),
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{\"",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(
        answer.contains("application/problem+json") && answer.contains("urn:banyan:problem:request-timeout"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_arrived_is_not_the_clients_fault() {
    let service = serve(&[("http.request_timeout_ms", "200")]).await;
    let answer = client()
        .post(format!("{}/never", service.url()))
        .body("all of it")
        .send()
        .await
        .unwrap();
    problem(answer, "timeout").await;
}

#[tokio::test]
async fn a_refusal_waits_until_the_body_is_sent() {
    const HALF: usize = 100_000;
    for (path, limit, status) in [("echo", "16", "413"), ("nowhere", "1000000", "404")] {
        let service = serve(&[("http.body_limit_bytes", limit)]).await;
        let mut stream = TcpStream::connect(service.address()).await.unwrap();
        let head = format!(
            "POST /{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            2 * HALF
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; HALF]).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(100), stream.readable()).await;
        assert!(early.is_err(), "{path}: answered, and closed, before it was sent");
        stream.write_all(&vec![b' '; HALF]).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_answered_at_once() {
    let service = serve(&[("http.body_limit_bytes", "16")]).await;
    let answer = exchange(
        service.address(),
        b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 100000\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_chunked_body_is_limited_too() {
    let service = serve(&[("http.body_limit_bytes", "16")]).await;
    let answer = exchange(
        service.address(),
        b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
          20\r\n{\"amount\": 1, \"lines\": []       }\r\n0\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("urn:banyan:problem:body-too-large"), "{answer}");
}

#[tokio::test]
async fn a_head_that_does_not_arrive_ends_the_connection() {
    let service = serve(&[("http.header_timeout_ms", "200")]).await;
    let started = Instant::now();
    exchange(service.address(), b"GET /ok HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert!(
        started.elapsed() >= Duration::from_millis(150),
        "closed after {:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let service = serve(&[]).await;
    let head = format!(
        "GET /ok HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n",
        "x".repeat(200_000)
    );
    let answer = exchange(service.address(), head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn more_connections_than_allowed_wait() {
    let service = serve(&[("http.max_connections", "1")]).await;
    let first = TcpStream::connect(service.address()).await.unwrap();
    let url = format!("{}/ok", service.url());
    let second = tokio::spawn(async move { client().get(url).send().await.unwrap().status() });
    let early = tokio::time::timeout(Duration::from_millis(200), async {
        while !second.is_finished() {
            tokio::task::yield_now().await;
        }
    });
    assert!(
        early.await.is_err(),
        "the second connection was served beside the first"
    );
    drop(first);
    assert_eq!(second.await.unwrap(), 200);
}
