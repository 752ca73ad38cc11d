//! What stands around every operation: telemetry, problem documents, panics, time and size limits, the verifier.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use futures::StreamExt;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::unread;
use crate::auth::Verifier;
use crate::config::HttpConfig;
use crate::problem::{INTERNAL, Kind, Problem, REQUEST_TIMEOUT, TIMEOUT};

/// The longest text of a plain error answer that becomes a `detail`.
const MAX_DETAIL_BYTES: usize = 2048;

/// The public API with everything around it.
pub(crate) fn public(router: Router, config: &HttpConfig, verifier: Option<Verifier>) -> Router {
    let limit = config.body_limit_bytes.get();
    let mut router = router
        .fallback(|| async { Problem::not_found("there is nothing at this address") })
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(limit));
    if let Some(verifier) = verifier {
        router = router.layer(Extension(verifier));
    }
    router
        .layer(from_fn_with_state(config.request_timeout(), deadline))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(limit, problems))
        .layer(from_fn(unread::read))
        // What is somebody's own, and may be old in a moment, is for no cache (RFC 9111 §5.2.2.5).
        .layer(SetResponseHeaderLayer::if_not_present(
            CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        // Outermost, so that the span and the counters see the answer that the client sees.
        .layer(banyan_tracing_setup::http::layer())
}

/// Ends a request that takes too long: 408 while its body is still coming, 503 when it is the service that is late.
async fn deadline(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let _active = Active::one();
    let received = Arc::new(AtomicBool::new(request.body().is_end_stream()));
    let request = if received.load(Ordering::Relaxed) {
        request
    } else {
        watched(request, &received)
    };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) if received.load(Ordering::Relaxed) => {
            tracing::warn!(limit_ms = limit.as_millis(), "request timed out");
            Problem::new(&TIMEOUT).retry_after(1).into_response()
        }
        Err(_) => Problem::new(&REQUEST_TIMEOUT)
            .detail("the body did not arrive in time")
            .into_response(),
    }
}

/// One request that is being worked on; counted out also when its client hangs up.
struct Active;

impl Active {
    fn one() -> Self {
        metrics::gauge!("http_server_active_requests").increment(1);
        Self
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        metrics::gauge!("http_server_active_requests").decrement(1);
    }
}

/// The same request; `received` becomes true when its body has been read to the end.
fn watched(request: Request, received: &Arc<AtomicBool>) -> Request {
    let received = Arc::clone(received);
    request.map(|body| {
        let end = futures::stream::once(async move {
            received.store(true, Ordering::Relaxed);
            None
        });
        let chunks = body.into_data_stream().map(Some).chain(end);
        Body::from_stream(chunks.filter_map(futures::future::ready))
    })
}

/// Turns the plain error answers of the libraries (no such method, body too large …) into problem documents.
async fn problems(State(body_limit): State<usize>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || !is_plain(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    let mut problem = Problem::new(Kind::for_status(status));
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        problem = problem.detail(format!("the body is larger than {body_limit} bytes"));
    } else if status == StatusCode::METHOD_NOT_ALLOWED {
        problem = problem.detail("this address does not have this method");
    } else if status.is_client_error()
        && let Ok(text) = to_bytes(body, MAX_DETAIL_BYTES).await
        && let Ok(text) = String::from_utf8(text.to_vec())
        && !text.is_empty()
    {
        problem = problem.detail(text);
    }
    let mut document = problem.into_response();
    // A status without a kind of its own (an odd 4xx of a library) keeps its code.
    *document.status_mut() = status;
    for (name, value) in &parts.headers {
        document.headers_mut().append(name, value.clone());
    }
    document
}

/// Whether an error answer has no document of its own; JSON is one.
fn is_plain(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_none_or(|value| value.as_bytes().starts_with(b"text/plain"))
}

/// The answer to a panic: nothing about it but the trace id. The panic hook has written place and message to stderr.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the signature that the layer asks for"
)]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic = message, "a handler panicked");
    metrics::counter!("banyan_http_panics_total").increment(1);
    Problem::new(&INTERNAL).into_response()
}
