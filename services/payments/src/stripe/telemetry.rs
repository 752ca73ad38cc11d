//! Spans and metrics of requests to Stripe.
//!
//! One client span per try, by the [semantic conventions for HTTP](https://opentelemetry.io/docs/specs/semconv/http/http-spans/),
//! named `METHOD template`. Left out are the URL and its query, which tell whose objects they are about.

use std::time::Duration;

use banyan_tracing_setup::http::record_client_status;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use tracing::{Span, field, info_span};

use super::config::BaseUrl;
use super::error::{StripeError, UnknownReason};
use super::wire::header;

/// The span of one try. `retries` counts the tries before it.
pub(super) fn span(method: &Method, template: &str, base: &BaseUrl, retries: u32) -> Span {
    let span = info_span!(
        "stripe request",
        otel.name = format!("{method} {template}"),
        otel.kind = "client",
        otel.status_code = field::Empty,
        http.request.method = method.as_str(),
        http.request.resend_count = field::Empty,
        http.response.status_code = field::Empty,
        url.template = template,
        server.address = base.host(),
        server.port = i64::from(base.port()),
        peer.service = "stripe",
        stripe.request_id = field::Empty,
        error.type = field::Empty,
    );
    if retries > 0 {
        span.record("http.request.resend_count", i64::from(retries));
    }
    span
}

/// Notes the answer's head.
pub(super) fn note_reply(span: &Span, status: StatusCode, headers: &HeaderMap) {
    record_client_status(span, status);
    if let Some(id) = header(headers, "request-id") {
        span.record("stripe.request_id", id);
    }
}

/// Ends a try: `banyan_stripe_requests_total{operation,outcome}` and `banyan_stripe_request_duration_seconds{operation}`.
pub(super) fn end(span: &Span, operation: &'static str, error: Option<&StripeError>, took: Duration) {
    let outcome = error.map_or("ok", StripeError::label);
    if let Some(error) = error.filter(|error| error.answer().is_none()) {
        span.record("otel.status_code", "ERROR");
        let kind = match error {
            StripeError::Unknown(unknown) if unknown.reason == UnknownReason::Timeout => "timeout",
            StripeError::Unknown(_) => "connection_lost",
            _ => outcome,
        };
        span.record("error.type", kind);
    }
    metrics::histogram!("banyan_stripe_request_duration_seconds", "operation" => operation)
        .record(took.as_secs_f64());
    count(operation, outcome);
}

/// Counts a try that was not made. It has no span: nothing was asked.
pub(super) fn count_not_sent(operation: &'static str) {
    count(operation, "not_sent");
}

fn count(operation: &'static str, outcome: &'static str) {
    metrics::counter!("banyan_stripe_requests_total", "operation" => operation, "outcome" => outcome)
        .increment(1);
}
