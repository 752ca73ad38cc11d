//! The OTLP sink over real HTTP.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use banyan_dev_sinks::otlp::OtlpSink;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

const TRACE: [u8; 16] = [0x4b; 16];
const SECOND: u64 = 1_000_000_000;
const LIMIT: Duration = Duration::from_secs(10);

fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn span(id: u8, parent: Option<u8>, name: &str, kind: i32, start_ms: u64, end_ms: u64) -> Span {
    Span {
        trace_id: TRACE.to_vec(),
        span_id: vec![id; 8],
        parent_span_id: parent.map_or_else(Vec::new, |parent| vec![parent; 8]),
        name: name.to_owned(),
        kind,
        start_time_unix_nano: 1_700_000_000 * SECOND + start_ms * 1_000_000,
        end_time_unix_nano: 1_700_000_000 * SECOND + end_ms * 1_000_000,
        ..Span::default()
    }
}

fn of(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![text("service.name", service)],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// A request served by the monolith whose insert fails, and an event processed by a service.
fn story() -> [ExportTraceServiceRequest; 2] {
    let mut insert = span(2, Some(1), "INSERT outbox", 3, 10, 12);
    insert.status = Some(Status {
        code: 2,
        message: "unique violation".to_owned(),
    });
    insert.attributes = vec![text("db.collection.name", "outbox")];
    let root = span(1, None, "POST /api/payments/charge", 2, 0, 50);
    let mut process = span(3, Some(1), "process notifications.events", 5, 60, 80);
    process.attributes = vec![text("messaging.message.id", "0190")];
    [
        of("monolith", vec![insert, root]),
        of("notifications", vec![process]),
    ]
}

fn client() -> reqwest::Client {
    // An error means another test of this process installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn export(sink: &OtlpSink, body: Vec<u8>, encoding: Option<&str>) -> reqwest::StatusCode {
    let mut request = client()
        .post(format!("{}/v1/traces", sink.endpoint()))
        .header("content-type", "application/x-protobuf")
        .body(body);
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    request.send().await.expect("answer").status()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("gzip");
    encoder.finish().expect("gzip")
}

async fn get(sink: &OtlpSink, path: &str) -> (u16, String) {
    let answer = client()
        .get(format!("{}{path}", sink.endpoint()))
        .send()
        .await
        .expect("answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test]
async fn keeps_plain_and_gzipped_spans_and_draws_the_tree() {
    let sink = OtlpSink::start(anywhere(), None).await.expect("sink");
    let [monolith, notifications] = story();
    assert_eq!(export(&sink, monolith.encode_to_vec(), None).await, 200);
    assert_eq!(
        export(&sink, gzip(&notifications.encode_to_vec()), Some("gzip")).await,
        200
    );

    let spans = sink
        .wait_until(LIMIT, |spans| spans.len() == 3)
        .await
        .expect("spans");
    let insert = spans
        .iter()
        .find(|span| span.name == "INSERT outbox")
        .expect("insert");
    assert_eq!(insert.trace_id, "4b".repeat(16));
    assert_eq!(insert.parent.as_deref(), Some("01".repeat(8).as_str()));
    assert_eq!(
        (insert.service.as_str(), insert.kind.as_str()),
        ("monolith", "client")
    );
    assert_eq!((insert.status.as_str(), insert.duration_ns), ("error", 2_000_000));
    assert_eq!(insert.start, "2023-11-14T22:13:20.010000000Z");
    assert_eq!(insert.text("db.collection.name"), Some("outbox"));

    let expected = "\
trace 4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b · 3 spans · monolith, notifications
   0.000 ms   50.000 ms  monolith  POST /api/payments/charge
  10.000 ms    2.000 ms  ├─ monolith  INSERT outbox  ERROR unique violation
  60.000 ms   20.000 ms  └─ notifications  process notifications.events  message=0190
";
    assert_eq!(sink.tree(&"4b".repeat(16)), expected);
}

#[tokio::test]
async fn what_is_no_otlp_is_refused_and_not_kept() {
    let sink = OtlpSink::start(anywhere(), None).await.expect("sink");
    assert_eq!(export(&sink, b"not protobuf at all".to_vec(), None).await, 400);
    assert_eq!(export(&sink, b"not gzip".to_vec(), Some("gzip")).await, 400);
    assert_eq!(export(&sink, Vec::new(), Some("br")).await, 400);
    let answer = client()
        .post(format!("{}/v1/traces", sink.endpoint()))
        .json(&"{}")
        .send()
        .await
        .expect("answer");
    assert_eq!(answer.status(), 415);
    assert!(sink.spans().is_empty());
}

#[tokio::test]
async fn a_restarted_sink_shows_what_its_files_hold() {
    let dir = tempfile::tempdir().expect("directory");
    let first = OtlpSink::start_on_disk(anywhere(), dir.path())
        .await
        .expect("sink");
    for request in story() {
        assert_eq!(export(&first, request.encode_to_vec(), None).await, 200);
    }
    drop(first);

    let sink = OtlpSink::start_on_disk(anywhere(), dir.path())
        .await
        .expect("sink");
    let trace = "4b".repeat(16);
    let (status, tree) = get(&sink, &format!("/traces/{trace}")).await;
    assert_eq!(status, 200);
    assert!(
        tree.contains("└─ notifications  process notifications.events"),
        "{tree}"
    );
    let (_, json) = get(&sink, &format!("/traces/{trace}.json")).await;
    assert_eq!(json.matches("\"span_id\"").count(), 3);
    let (_, list) = get(&sink, "/traces").await;
    assert!(
        list.contains(&trace) && list.contains("3 spans  monolith  POST /api/payments/charge"),
        "{list}"
    );
    let (status, _) = get(&sink, "/traces/00000000000000000000000000000001").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn only_the_files_of_the_last_days_are_kept() {
    let dir = tempfile::tempdir().expect("directory");
    for day in 10..20 {
        std::fs::write(dir.path().join(format!("2024-01-{day}.jsonl")), "").expect("file");
    }
    let _sink = OtlpSink::start_on_disk(anywhere(), dir.path())
        .await
        .expect("sink");
    assert!(!dir.path().join("2024-01-12.jsonl").exists());
    assert!(dir.path().join("2024-01-13.jsonl").exists());
}
