//! The same key again: the same answer, or a reason.

use axum::body::Body;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::support::{Stage, said, write_once};

#[tokio::test]
async fn a_repetition_has_status_headers_and_body_of_the_first_answer() {
    let stage = Stage::new(|work| async move {
        let (status, body): (u16, &'static [u8]) = match work.body["text"].as_str().unwrap() {
            "created" => (201, b"{ \"odd\":  \"spacing\\u00e9\xc3\xa9\", \"run\":1 }\n"),
            "declined" => (402, b"{}"),
            "binary" => (200, b"\x00\xff\x01"),
            "see" => (303, b""),
            _ => (204, b""),
        };
        let mut response = Response::builder()
            .status(status)
            .header("location", "/things/1")
            .header("etag", "\"1\"")
            .header("x-request-id", work.run.to_string());
        if !body.is_empty() {
            response = response.header("content-type", "application/vnd.thing+json; charset=utf-8");
        }
        response.body(Body::from(body)).unwrap()
    })
    .await;
    for (text, status) in [
        ("created", 201),
        ("declined", 402),
        ("binary", 200),
        ("see", 303),
        ("none", 204),
    ] {
        let call = stage.call().key(text).text(text);
        let first = call.send().await;
        assert_eq!(
            (first.status, first.header("idempotent-replayed")),
            (status, None),
            "{text}"
        );
        assert!(first.header("x-request-id").is_some());
        for _ in 0..2 {
            let again = call.send().await;
            assert!(again.replayed(), "{text}");
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{text}");
            for name in ["content-type", "location", "etag", "content-length"] {
                assert_eq!(again.header(name), first.header(name), "{name} of {text}");
            }
            assert_eq!(again.header("x-request-id"), None, "of the one exchange");
        }
    }
    assert_eq!(stage.runs(), 5);
}

#[tokio::test]
async fn what_the_handler_stored_with_its_effect_is_not_stored_again() {
    let stage = Stage::new(|work| async move {
        let response = write_once(&work, "stored with the effect").await;
        assert_eq!(response.status(), 201);
        said(201, "said only now").into_response()
    })
    .await;
    assert_eq!(stage.call().send().await.said(), (201, json!("said only now")));
    let again = stage.call().send().await;
    assert_eq!(again.said(), (201, json!("stored with the effect")));
    assert!(again.replayed());
    assert_eq!(stage.things().await, ["stored with the effect"]);
}

#[tokio::test]
async fn the_same_meaning_is_the_same_request_and_another_is_refused() {
    let stage = Stage::new(|work| async move { write_once(&work, "once").await }).await;
    let call = stage.call().body(r#"{"amount": 10.00, "currency": "USD"}"#);
    assert_eq!(call.send().await.status, 201);
    let alike = stage
        .call()
        .body(r#"{"currency":"USD","amount":1e1}"#)
        .send()
        .await;
    assert!(alike.status == 201 && alike.replayed());
    for other in [r#"{"amount": 10.01, "currency": "USD"}"#, "{}", "[]", "no JSON"] {
        let refused = stage.call().body(other).send().await;
        assert_eq!(
            refused.problem(),
            (422, "idempotency-key-reused".into()),
            "{other}"
        );
        assert_eq!(
            refused.json()["detail"],
            "This Idempotency-Key was used with another request. Use a new key for a new payment."
        );
    }
    let asked = stage.call().path("/things?a=1").send().await;
    assert_eq!(asked.problem(), (422, "idempotency-key-reused".into()));
    assert_eq!(stage.runs(), 1);
}

#[tokio::test]
async fn keys_belong_to_their_user_and_their_operation_or_its_path() {
    let stage = Stage::new(|work| async move { said(201, work.caller.user_id).into_response() }).await;
    let mine = stage.call().send().await;
    assert_eq!(mine.said(), (201, json!(7)));
    let hers = stage.call().token(Some(stage.keys.token(8))).send().await;
    assert_eq!((hers.said(), hers.replayed()), ((201, json!(8)), false));
    for path in ["/others", "/things/1/parts", "/things/2/parts"] {
        assert!(!stage.call().path(path).send().await.replayed(), "{path}");
        assert!(stage.call().path(path).send().await.replayed(), "{path}");
    }
    assert_eq!(stage.runs(), 5);
    let long = format!("/things/{}/parts", "1".repeat(5000));
    assert!(!stage.call().path(&long).send().await.replayed());
    assert!(stage.call().path(&long).send().await.replayed());
}

#[tokio::test]
async fn a_method_that_is_not_there_needs_no_key() {
    let stage = Stage::new(|work| async move { write_once(&work, "once").await }).await;
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
        let answer = stage.call().method(method).token(None).no_key().send().await;
        assert_eq!(answer.status, 405);
    }
    assert_eq!(stage.known().await, 0);
}

#[tokio::test]
async fn who_is_asking_comes_first_then_the_key_then_the_body() {
    let stage = Stage::new(|work| async move { write_once(&work, "once").await }).await;
    let nobody = stage.call().token(None).no_key().body("{").send().await;
    assert_eq!(nobody.problem(), (401, "unauthenticated".into()));
    for key in ["", "   "] {
        let missing = stage.call().key(key).body("{").send().await;
        assert_eq!(missing.problem(), (400, "idempotency-key-missing".into()));
    }
    let missing = stage.call().no_key().body("{").send().await;
    assert_eq!(missing.problem(), (400, "idempotency-key-missing".into()));
    assert_eq!(missing.json()["title"], "Idempotency key missing");
    assert_eq!(
        missing.json()["detail"],
        "Send an Idempotency-Key header, such as a UUID made once per payment."
    );
    for key in ["k".repeat(256), "schlüssel".into()] {
        let invalid = stage.call().key(&key).body("{").send().await;
        assert_eq!(invalid.problem(), (400, "idempotency-key-invalid".into()));
        assert_eq!(
            invalid.json()["detail"],
            "An Idempotency-Key has at most 255 printable ASCII characters."
        );
    }
    assert_eq!(
        stage.call().body("{").send().await.problem(),
        (400, "bad-request".into())
    );
    let plain = stage.call().content_type("text/plain").send().await;
    assert_eq!(plain.problem(), (415, "unsupported-media-type".into()));
    let huge = format!("\"{}\"", "x".repeat(3 * 1024 * 1024));
    assert_eq!(
        stage.call().body(&huge).send().await.problem(),
        (413, "body-too-large".into())
    );
    assert_eq!(
        (stage.runs(), stage.known().await),
        (0, 0),
        "none of these used the key"
    );
    for key in ["k".repeat(255), "a key: with ~everything~ \"printable\"".into()] {
        assert_eq!(stage.call().key(&key).send().await.status, 201);
    }
}
