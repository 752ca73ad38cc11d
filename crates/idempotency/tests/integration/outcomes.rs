//! Which answers are final.

use axum::response::IntoResponse;
use banyan_idempotency::{Options, STARTED};
use serde_json::json;

use crate::support::{Stage, said, write_once};

#[tokio::test]
async fn a_refused_request_does_not_use_its_key_up() {
    let stage = Stage::new(|work| async move {
        if let Some(status) = work.body["refuse"].as_u64() {
            return said(u16::try_from(status).unwrap(), "refused").into_response();
        }
        assert!(!work.claimed.taken_over());
        write_once(&work, "done").await
    })
    .await;
    for status in [400, 401, 403, 404, 409, 410, 413, 415, 422, 429] {
        let call = stage.call().key(&format!("key-{status}"));
        let refused = call.clone().body(&json!({"refuse": status}).to_string());
        for _ in 0..2 {
            let got = refused.send().await;
            assert_eq!((got.said(), got.replayed()), ((status, json!("refused")), false));
        }
        let mended = call.send().await;
        assert_eq!(
            (mended.said(), mended.replayed()),
            ((201, json!("done")), false),
            "{status}"
        );
        assert!(call.send().await.replayed());
    }
}

#[tokio::test]
async fn what_is_not_known_yet_or_failed_is_taken_over() {
    let stage = Stage::new(|work| async move {
        if work.claimed.taken_over() {
            return write_once(&work, work.claimed.recovery_point()).await;
        }
        let status = work.body["first"].as_u64().unwrap();
        said(status.try_into().unwrap(), "not yet").into_response()
    })
    .await;
    for status in [202, 500, 502, 503] {
        let call = stage
            .call()
            .key(&format!("key-{status}"))
            .body(&json!({"first": status}).to_string());
        assert_eq!(call.send().await.said(), (status, json!("not yet")));
        let other = call.clone().text("another request").send().await;
        assert_eq!(
            other.problem(),
            (422, "idempotency-key-reused".into()),
            "it was begun"
        );
        let settled = call.send().await;
        assert_eq!(
            (settled.said(), settled.replayed()),
            ((201, json!(STARTED)), false)
        );
        assert!(call.send().await.replayed());
    }
}

/// Something was done before the refusal, so another request under the key is another intent.
#[tokio::test]
async fn a_refusal_after_a_recovery_point_keeps_the_key() {
    let stage = Stage::new(|work| async move {
        if work.claimed.taken_over() {
            return write_once(&work, work.claimed.recovery_point()).await;
        }
        let mut connection = work.pool.acquire().await.unwrap();
        work.claimed.advance(&mut connection, "reserved").await.unwrap();
        said(409, "not now").into_response()
    })
    .await;
    assert_eq!(stage.call().send().await.said(), (409, json!("not now")));
    let other = stage.call().text("b").send().await;
    assert_eq!(other.problem(), (422, "idempotency-key-reused".into()));
    assert_eq!(stage.call().send().await.said(), (201, json!("reserved")));
}

#[tokio::test]
async fn a_panic_leaves_the_key_to_the_next_request() {
    let stage = Stage::new(|work| async move {
        assert!(work.claimed.taken_over(), "the first run ends here");
        write_once(&work, "done").await
    })
    .await;
    assert!(
        stage.call().try_send().await.is_err(),
        "nothing here turns a panic into an answer"
    );
    assert_eq!(stage.call().send().await.said(), (201, json!("done")));
}

#[tokio::test]
async fn an_answer_too_large_to_keep_is_repeated_without_its_body() {
    let options = Options {
        max_answer_bytes: 100,
        ..Options::new("thing")
    };
    let stage = Stage::with(options, |work| async move {
        said(
            201,
            "x".repeat(usize::try_from(work.body.as_u64().unwrap()).unwrap()),
        )
        .into_response()
    })
    .await;
    let large = stage.call().body("101");
    assert!(large.send().await.body.len() > 100, "the client gets it");
    let again = large.send().await;
    assert_eq!((again.status, again.body.len(), again.replayed()), (201, 0, true));
    let small = stage.call().key("small").body("50");
    assert_eq!(small.send().await.body, small.send().await.body);
    assert_eq!(stage.runs(), 2);
}

#[tokio::test]
async fn a_database_that_is_away_answers_503_and_runs_nothing() {
    let stage = Stage::new(|work| async move { write_once(&work, "once").await }).await;
    assert_eq!(stage.call().key("before").send().await.status, 201);
    stage.db.pool.close().await;
    let away = stage.call().send().await;
    assert_eq!(away.problem(), (503, "unavailable".into()));
    assert_eq!(stage.runs(), 1);
}
