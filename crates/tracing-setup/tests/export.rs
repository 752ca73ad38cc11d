//! A real process, its real OTLP export and its real log lines.

use std::net::Ipv4Addr;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use banyan_dev_sinks::otlp::{OtlpSink, Span};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(20);

async fn probe(variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trace-probe"))
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("probe")
}

/// The one log line of the probe.
fn line(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let probe = text
        .lines()
        .find(|line| line.contains("probe sent"))
        .unwrap_or_else(|| panic!("no line in {text}"));
    serde_json::from_str(probe).expect("a JSON line")
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans
        .iter()
        .find(|span| span.name == name)
        .unwrap_or_else(|| panic!("no span {name}"))
}

#[tokio::test]
async fn one_trace_leaves_the_process_and_the_log_line_names_it() {
    let sink = OtlpSink::start((Ipv4Addr::LOCALHOST, 0).into(), None)
        .await
        .expect("sink");
    let output = probe(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        // A log without the span in it must still know the trace.
        ("RUST_LOG", "warn,trace_probe=info"),
    ])
    .await;
    let spans = sink
        .wait_until(LIMIT, |spans| spans.len() == 3)
        .await
        .expect("three spans");

    let publish = named(&spans, "publish domain-events");
    let process = named(&spans, "process probe.events");
    let insert = named(&spans, "INSERT probe");
    assert_eq!(publish.parent, None);
    assert_eq!(process.parent.as_ref(), Some(&publish.span_id));
    assert_eq!(insert.parent.as_ref(), Some(&process.span_id));
    assert!(spans.iter().all(|span| span.trace_id == publish.trace_id));
    assert_eq!(
        [&publish.kind, &process.kind, &insert.kind],
        ["producer", "consumer", "client"]
    );

    let names: Vec<&str> = process.attributes.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "messaging.destination.name",
            "messaging.message.id",
            "messaging.operation.name",
            "messaging.operation.type",
            "messaging.rabbitmq.destination.routing_key",
            "messaging.system"
        ],
        "no places in the code, no threads, no idle times"
    );
    assert_eq!(insert.text("db.system.name"), Some("postgresql"));
    assert_eq!(insert.text("db.operation.name"), Some("INSERT"));
    assert_eq!(insert.text("db.collection.name"), Some("probe"));
    assert_eq!(publish.service, "trace-probe");
    assert_eq!(publish.resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(publish.resource["deployment.environment.name"], "test");
    assert!(publish.resource["service.instance.id"].is_string());

    let line = line(&output);
    assert_eq!(line["trace_id"], insert.trace_id.as_str());
    assert_eq!(line["span_id"], insert.span_id.as_str());
    assert_eq!(
        (&line["level"], &line["message"]),
        (&"INFO".into(), &"probe sent".into())
    );
    assert_eq!(
        (&line["service"], &line["collected"]),
        (&"trace-probe".into(), &true.into())
    );
}

#[tokio::test]
async fn the_standard_variables_hold() {
    let sink = OtlpSink::start((Ipv4Addr::LOCALHOST, 0).into(), None)
        .await
        .expect("sink");
    let endpoint = sink.endpoint();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str());

    let line_of_off = line(&probe(&[endpoint, ("OTEL_SDK_DISABLED", "true")]).await);
    assert!(line_of_off.get("trace_id").is_none());
    line(&probe(&[endpoint, ("OTEL_TRACES_SAMPLER", "always_off")]).await);
    line(&probe(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]).await);
    // Comes last: had one of the above exported anything, it would have come before.
    line(&probe(&[endpoint, ("OTEL_SERVICE_NAME", "renamed")]).await);

    let spans = sink
        .wait_until(LIMIT, |spans| spans.len() >= 3)
        .await
        .expect("spans");
    assert!(spans.iter().all(|span| span.service == "renamed"), "{spans:?}");
}

#[tokio::test]
async fn without_a_collector_the_log_still_has_ids() {
    let line = line(&probe(&[]).await);
    assert_eq!(line["trace_id"].as_str().map(str::len), Some(32));
    assert_eq!(line["span_id"].as_str().map(str::len), Some(16));
}

#[tokio::test]
async fn a_dead_collector_costs_no_more_than_the_bound() {
    let unused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("port");
    let addr = unused.local_addr().expect("address");
    drop(unused);
    let begun = Instant::now();
    line(&probe(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{addr}"))]).await);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_collector_that_never_answers_costs_no_more_than_the_bound() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("port");
    let addr = silent.local_addr().expect("address");
    let held = tokio::spawn(async move {
        let (mut stream, _) = silent.accept().await.expect("connection");
        let mut taken = Vec::new();
        // Reads for ever and never answers.
        let _ = stream.read_to_end(&mut taken).await;
        taken.len()
    });
    let begun = Instant::now();
    line(&probe(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{addr}"))]).await);
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert!(held.await.expect("collector") > 0, "the probe did send");
}

#[tokio::test]
async fn a_wrong_variable_is_named() {
    for (name, value) in [("RUST_LOG", "info,=,x=loudest"), ("BANYAN_LOG", "xml")] {
        let output = probe(&[(name, value)]).await;
        assert!(!output.status.success());
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(name), "{text}");
    }
}
