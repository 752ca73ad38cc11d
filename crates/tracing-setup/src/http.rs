//! The server layer for axum and trace context of outgoing requests.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::MatchedPath;
use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field, info_span};

use crate::context::{self, TRACEPARENT, TRACESTATE, TraceContext};

/// Asked every few seconds by whoever watches the process; a span for each would drown the traces.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// What nginx logs for a client that hung up before the answer.
const CLIENT_CLOSED_REQUEST: &str = "499";

/// The server layer: one span and one set of metrics per request. See [`HttpLayer`].
pub fn layer() -> HttpLayer {
    HttpLayer
}

/// Opens a server span `METHOD route` that continues the request's trace, and counts the request.
///
/// The span has the stable HTTP attributes of the semantic conventions, but for the query, the client's address and the
/// user agent, which may hold tokens and personal data. A 5xx makes it an error. The metrics are
/// `http_server_requests_total{method,route,status}` and `http_server_request_duration_seconds{method,route}` (seconds
/// to the response's head); a request whose client hung up counts with status 499. Health and metrics probes get neither.
///
/// Put it on with `Router::layer`, after the routes: only then is the matched route known.
#[derive(Debug, Clone, Copy)]
pub struct HttpLayer;

impl<S> Layer<S> for HttpLayer {
    type Service = HttpService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpService { inner }
    }
}

/// The service of [`HttpLayer`].
#[derive(Debug, Clone)]
pub struct HttpService<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for HttpService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if PROBES.contains(&request.uri().path()) {
            return Box::pin(self.inner.call(request));
        }
        let mut exchange = Exchange::begin(&request);
        let span = exchange.span.clone();
        // The inner service may work before its future is first polled.
        let future = span.in_scope(|| self.inner.call(request));
        Box::pin(
            async move {
                let result = future.await;
                if let Ok(response) = &result {
                    exchange.answered(response.status());
                }
                result
            }
            .instrument(span),
        )
    }
}

/// One request on its way; dropped without an answer it counts as hung up.
struct Exchange {
    span: Span,
    method: &'static str,
    route: String,
    started: Instant,
    status: Option<StatusCode>,
}

impl Exchange {
    fn begin<B>(request: &Request<B>) -> Self {
        let method = known_method(request.method());
        let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let span = server_span(request, method, route);
        context::set_parent(&span, &extract(request.headers()));
        let route = route.unwrap_or("unmatched").to_owned();
        Self {
            span,
            method,
            route,
            started: Instant::now(),
            status: None,
        }
    }

    fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        record_status(&self.span, status, status.is_server_error());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.span.record("error.type", "client_disconnected");
        }
        let status = self
            .status
            .as_ref()
            .map_or(CLIENT_CLOSED_REQUEST, StatusCode::as_str)
            .to_owned();
        let route = std::mem::take(&mut self.route);
        metrics::histogram!("http_server_request_duration_seconds", "method" => self.method, "route" => route.clone())
            .record(self.started.elapsed().as_secs_f64());
        metrics::counter!("http_server_requests_total", "method" => self.method, "route" => route, "status" => status)
            .increment(1);
    }
}

fn server_span<B>(request: &Request<B>, method: &'static str, route: Option<&str>) -> Span {
    let verb = if method == OTHER { "HTTP" } else { method };
    let name = route.map_or_else(|| verb.to_owned(), |route| format!("{verb} {route}"));
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    info_span!(
        "http request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = field::Empty,
        url.scheme = request.uri().scheme_str().unwrap_or("http"),
        url.path = request.uri().path(),
        server.address = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name)),
        error.type = field::Empty,
    )
}

/// The client span `METHOD` of a request to `server_address`; end it with [`record_client_status`].
pub fn client_span(method: &Method, server_address: &str, server_port: u16) -> Span {
    let method = known_method(method);
    info_span!(
        "http client request",
        otel.name = if method == OTHER { "HTTP" } else { method },
        otel.kind = "client",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.response.status_code = field::Empty,
        server.address = server_address,
        server.port = i64::from(server_port),
        error.type = field::Empty,
    )
}

/// Notes the answer on a span of [`client_span`]; to a client a 4xx is an error as well.
pub fn record_client_status(span: &Span, status: StatusCode) {
    record_status(span, status, status.is_client_error() || status.is_server_error());
}

/// Writes the current span's context into the headers of an outgoing request.
pub fn inject(headers: &mut HeaderMap) {
    inject_context(headers, &context::current());
}

/// Writes `context` into `headers`; an empty context writes nothing.
pub fn inject_context(headers: &mut HeaderMap, context: &TraceContext) {
    for (name, value) in [
        (TRACEPARENT, &context.traceparent),
        (TRACESTATE, &context.tracestate),
    ] {
        if let Some(value) = value
            .as_deref()
            .and_then(|value| HeaderValue::from_str(value).ok())
        {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Reads the context of `headers`; empty where there is none.
pub fn extract(headers: &HeaderMap) -> TraceContext {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // RFC 9110 lets a list header come in several lines; W3C asks to join `tracestate` in order.
    let states: Vec<&str> = headers
        .get_all(TRACESTATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    TraceContext::new(text(TRACEPARENT), Some(&states.join(",")))
}

fn record_status(span: &Span, status: StatusCode, is_error: bool) {
    // Signed: OTLP has no unsigned integers, and the layer would make text of one.
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if is_error {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", status.as_str());
    }
}

const OTHER: &str = "_OTHER";

/// The method, or `_OTHER` for one that is not of RFC 9110 or 5789: names made up by a client must not become labels.
fn known_method(method: &Method) -> &'static str {
    [
        "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT",
    ]
    .into_iter()
    .find(|known| *known == method.as_str())
    .unwrap_or(OTHER)
}
