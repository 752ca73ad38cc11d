//! Requests that met a backend which does not act for their user.

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::nginx::Gateway;
use crate::proxying::{authorization, body, header, notifications, serve};

const ADDRESS: &str = "/api/notifications/preferences?x=1";

/// Does not act for anybody. Like the services and the monolith it reads what it was sent, or nginx might meet its end before its answer.
fn misdirected(hand_over: &'static str) -> Router {
    Router::new().fallback(move |_: Bytes| async move {
        (
            StatusCode::MISDIRECTED_REQUEST,
            [("x-accel-redirect", hand_over)],
            "not mine",
        )
    })
}

/// Tells what it was asked.
fn acting() -> Router {
    Router::new().fallback(|request: Request| async move {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, 1 << 20).await.expect("a body");
        let told = json!({
            "method": parts.method.as_str(),
            "uri": parts.uri.to_string(),
            "length": body.len(),
            "same": body.iter().all(|byte| *byte == b'a'),
            "key": parts.headers.get("idempotency-key").map(|key| key.to_str().expect("ASCII").to_owned()),
            "fallback": parts.headers.contains_key("x-migration-fallback"),
        });
        told.to_string().into_response() as Response
    })
}

#[test]
fn a_request_is_handed_over_whole() {
    let (legacy, new) = (serve(misdirected("@new_notifications")), serve(acting()));
    let to_the_service = Gateway::start(legacy, &[notifications(0, new)]);
    let (legacy, new) = (serve(acting()), serve(misdirected("@legacy")));
    let to_the_monolith = Gateway::start(legacy, &[notifications(10_000, new)]);
    // The second one is more than nginx keeps in memory.
    for (gateway, length, backend) in [
        (&to_the_service, 10, "new"),
        (&to_the_service, 1_000_000, "new"),
        (&to_the_monolith, 10, "legacy"),
    ] {
        let answer = gateway.ask(&format!(
            "PUT {ADDRESS} HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nIdempotency-Key: k\r\n{}\r\n\
             X-Migration-Fallback: 1\r\nContent-Length: {length}\r\n\r\n{}",
            authorization(1),
            "a".repeat(length)
        ));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(
            body(&answer),
            json!({ "method": "PUT", "uri": ADDRESS, "length": length, "same": true, "key": "k", "fallback": false })
        );
        assert_eq!(header(&answer, "X-Migration-Backend"), [backend]);
    }
}

#[test]
fn it_is_handed_over_once() {
    let neither = Gateway::start(
        serve(misdirected("@new_notifications")),
        &[notifications(0, serve(misdirected("@legacy")))],
    );
    let answer = neither.get(ADDRESS, &[&authorization(1)]);
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    assert_eq!(header(&answer, "X-Migration-Backend"), ["new"]);
    assert!(header(&answer, "X-Accel-Redirect").is_empty());
}
