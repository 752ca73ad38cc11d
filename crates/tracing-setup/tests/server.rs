//! The HTTP layer around a real axum router, its spans exported as OTLP by the SDK.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use banyan_dev_sinks::otlp::{OtlpSink, Span};
use banyan_tracing_setup::{context, http};
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower::{Service, ServiceExt};
use tracing_subscriber::layer::SubscriberExt;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn router() -> Router {
    Router::new()
        .route(
            "/users/{id}",
            get(|| async { context::current().trace_id().unwrap_or_default() }),
        )
        .route("/broken", post(|| async { StatusCode::BAD_GATEWAY }))
        .route("/slow", get(std::future::pending::<StatusCode>))
        .route("/healthz", get(|| async { "ok" }))
        .layer(http::layer())
}

fn request(method: &str, path: &str) -> Request<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "shop.test:8080");
    request
        .header("traceparent", PARENT)
        .body(Body::empty())
        .expect("request")
}

async fn body(response: axum::response::Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1024)
        .await
        .expect("body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans
        .iter()
        .find(|span| span.name == name)
        .unwrap_or_else(|| panic!("no `{name}` in {spans:?}"))
}

async fn requests() -> Result<(), Infallible> {
    let router = router();
    let answer = router
        .clone()
        .oneshot(request("GET", "/users/7?token=secret"))
        .await?;
    assert_eq!(
        body(answer).await,
        TRACE,
        "the handler runs in the client's trace"
    );
    assert_eq!(
        router.clone().oneshot(request("POST", "/broken")).await?.status(),
        502
    );
    assert_eq!(
        router.clone().oneshot(request("GET", "/healthz")).await?.status(),
        200
    );
    assert_eq!(
        router
            .clone()
            .oneshot(request("BREW", "/nowhere"))
            .await?
            .status(),
        404
    );
    // The client hangs up: hyper drops the future.
    let mut service = router.into_service::<Body>();
    let hung_up =
        tokio::time::timeout(Duration::from_millis(20), service.call(request("GET", "/slow"))).await;
    assert!(hung_up.is_err());
    Ok(())
}

#[test]
fn requests_become_spans_and_metrics() {
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let sink = runtime
        .block_on(OtlpSink::start((Ipv4Addr::LOCALHOST, 0).into(), None))
        .expect("sink");
    // Our own provider instead of `init`, because the environment of a test process cannot be set safely.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", sink.endpoint()));
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter.build().expect("exporter"))
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_location(false)
        .with_threads(false);
    let subscriber = tracing_subscriber::registry().with(layer.with_tracer(provider.tracer("test")));
    tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    metrics::set_global_recorder(recorder).expect("the only recorder");

    runtime.block_on(requests()).expect("infallible");
    provider.shutdown().expect("exported");
    let spans = sink.spans();

    let user = find(&spans, "GET /users/{id}");
    assert_eq!(
        (user.trace_id.as_str(), user.parent.as_deref()),
        (TRACE, Some("00f067aa0ba902b7"))
    );
    assert_eq!((user.kind.as_str(), user.status.as_str()), ("server", "unset"));
    assert_eq!(user.attributes["http.response.status_code"], 200);
    assert_eq!(user.text("http.route"), Some("/users/{id}"));
    assert_eq!(user.text("url.path"), Some("/users/7"));
    assert_eq!(user.text("server.address"), Some("shop.test"));
    let all = format!("{spans:?}");
    assert!(!all.contains("secret"), "the query may hold tokens");

    let broken = find(&spans, "POST /broken");
    assert_eq!(
        (broken.status.as_str(), broken.text("error.type")),
        ("error", Some("502"))
    );
    let unknown = find(&spans, "HTTP");
    assert_eq!(unknown.text("http.request.method"), Some("_OTHER"));
    assert_eq!(
        unknown.status, "unset",
        "a 4xx is the client's error, not the server's"
    );
    assert_eq!(
        find(&spans, "GET /slow").text("error.type"),
        Some("client_disconnected")
    );
    assert_eq!(spans.len(), 4, "a probe is no span");

    let text = metrics.render();
    for line in [
        r#"http_server_requests_total{method="GET",route="/users/{id}",status="200"} 1"#,
        r#"http_server_requests_total{method="POST",route="/broken",status="502"} 1"#,
        r#"http_server_requests_total{method="_OTHER",route="unmatched",status="404"} 1"#,
        r#"http_server_requests_total{method="GET",route="/slow",status="499"} 1"#,
        r#"http_server_request_duration_seconds_count{method="GET",route="/users/{id}"} 1"#,
    ] {
        assert!(text.contains(line), "{line} not in\n{text}");
    }
    assert!(!text.contains("healthz"));
}
