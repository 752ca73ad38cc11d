//! What is counted.

use axum::response::IntoResponse;
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::support::{Stage, said, write_once};

/// One thread, so that the recorder of the thread sees everything.
#[tokio::test]
async fn claims_are_counted_by_outcome_and_handlers_are_timed() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let stage = Stage::new(|work| async move {
        match (work.run, work.claimed.taken_over()) {
            (1, _) => said(503, "not now").into_response(),
            (2, _) => {
                let again = work.claimed.clone();
                let response = write_once(&work, "once").await;
                let mut connection = work.pool.acquire().await.unwrap();
                assert!(again.advance(&mut connection, "too late").await.is_err());
                response
            }
            _ => said(201, "other").into_response(),
        }
    })
    .await;
    assert_eq!(stage.call().send().await.status, 503);
    assert_eq!(stage.call().send().await.status, 201);
    assert!(stage.call().send().await.replayed());
    assert_eq!(stage.call().text("b").send().await.status, 422);
    sqlx::raw_sql("UPDATE idempotency_key SET expires_at = now()")
        .execute(&stage.db.pool)
        .await
        .unwrap();
    assert_eq!(banyan_idempotency::reap(&stage.db.pool, 100).await.unwrap(), 1);
    let text = handle.render();
    for line in [
        r#"banyan_idempotency_requests_total{operation="thing",outcome="first"} 1"#,
        r#"banyan_idempotency_requests_total{operation="thing",outcome="taken_over"} 1"#,
        r#"banyan_idempotency_requests_total{operation="thing",outcome="replayed"} 1"#,
        r#"banyan_idempotency_requests_total{operation="thing",outcome="mismatch"} 1"#,
        r#"banyan_idempotency_handling_seconds_count{operation="thing"} 2"#,
        r#"banyan_idempotency_claims_lost_total{operation="thing"} 1"#,
        r#"banyan_idempotency_reaped_total{state="finished"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}
