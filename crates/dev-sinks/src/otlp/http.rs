//! The collector's HTTP: `POST /v1/traces` takes OTLP, `GET /traces` shows what came.

use std::fmt::Write;
use std::io::{self, Read};
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;

use super::store::Store;
use super::{span, tree};

/// As large as the exporters of the SDKs send; also bounds what a compressed body may grow to.
const BODY_LIMIT: usize = 64 * 1024 * 1024;

const PROTOBUF: &str = "application/x-protobuf";

pub(super) fn router(store: Arc<Store>) -> Router {
    Router::new()
        .route("/v1/traces", post(export))
        .route("/traces", get(list))
        .route("/traces/{trace_id}", get(show))
        .route("/healthz", get(|| async { "ok" }))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(store)
}

async fn export(State(store): State<Arc<Store>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    if !header(CONTENT_TYPE).starts_with(PROTOBUF) {
        let text = format!("send OTLP as {PROTOBUF} (OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf)");
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
    }
    let decoded = match header(CONTENT_ENCODING) {
        "" | "identity" => Ok(body),
        "gzip" => unzip(&body),
        other => Err(io::Error::other(format!("unknown content encoding `{other}`"))),
    };
    let request = decoded.and_then(|body| ExportTraceServiceRequest::decode(body).map_err(io::Error::other));
    match request {
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        Ok(request) => match store.keep(span::decode(request)) {
            Ok(()) => (
                [(CONTENT_TYPE, PROTOBUF)],
                ExportTraceServiceResponse::default().encode_to_vec(),
            )
                .into_response(),
            Err(error) => failed(&error),
        },
    }
}

fn unzip(body: &[u8]) -> io::Result<Bytes> {
    let mut plain = Vec::new();
    let limit = BODY_LIMIT as u64;
    let read = GzDecoder::new(body).take(limit + 1).read_to_end(&mut plain)?;
    if read > BODY_LIMIT {
        return Err(io::Error::other(format!(
            "more than {BODY_LIMIT} bytes when unpacked"
        )));
    }
    Ok(plain.into())
}

async fn show(State(store): State<Arc<Store>>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let accepts_json = headers
        .get(ACCEPT)
        .is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"));
    let (trace_id, json) = match name.strip_suffix(".json") {
        Some(id) => (id.to_owned(), true),
        None => (name, accepts_json),
    };
    let found = {
        let trace_id = trace_id.clone();
        tokio::task::spawn_blocking(move || store.trace(&trace_id)).await
    };
    match found.map_err(io::Error::other).and_then(|spans| spans) {
        Err(error) => failed(&error),
        Ok(spans) if spans.is_empty() => {
            let text = format!(
                "no span of trace {trace_id} came here; exporters send in batches, so try again shortly\n"
            );
            (StatusCode::NOT_FOUND, text).into_response()
        }
        Ok(spans) if json => Json(spans).into_response(),
        Ok(spans) => tree::tree(&spans).into_response(),
    }
}

async fn list(State(store): State<Arc<Store>>) -> Response {
    let found = tokio::task::spawn_blocking(move || store.latest()).await;
    match found.map_err(io::Error::other).and_then(|traces| traces) {
        Err(error) => failed(&error),
        Ok(traces) => {
            let mut text = String::from("the latest traces; add /<trace id> to this address for one\n");
            for trace in traces {
                let _ = writeln!(
                    text,
                    "{}  {}  {:>4} spans  {}",
                    trace.trace_id, trace.start, trace.spans, trace.name
                );
            }
            text.into_response()
        }
    }
}

fn failed(error: &io::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
}
