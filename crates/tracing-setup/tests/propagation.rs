//! W3C trace context through headers of HTTP and AMQP, as Python's or anybody's client would write them.

use axum::http::{HeaderMap, HeaderValue};
use banyan_tracing_setup::context::{self, TraceContext};
use banyan_tracing_setup::{amqp, http};
use lapin::types::{AMQPValue, FieldTable};
use tracing::info_span;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Without an exporter spans still have ids. The subscriber is the process's: an error means another test set it.
fn traced() {
    if let Ok(telemetry) = banyan_tracing_setup::init("test", "0", banyan_tracing_setup::LogTo::Output) {
        std::mem::forget(telemetry);
    }
}

fn remote() -> TraceContext {
    TraceContext::new(Some(PARENT), Some("vendor=1,other=2"))
}

#[test]
fn a_context_survives_amqp_headers() {
    let mut headers = FieldTable::default();
    amqp::inject(&mut headers, &remote());
    assert_eq!(headers.inner().len(), 2);
    assert_eq!(amqp::extract(&headers), remote());
}

#[test]
fn a_context_survives_http_headers_also_in_several_lines() {
    let mut headers = HeaderMap::new();
    http::inject_context(&mut headers, &remote());
    assert_eq!(http::extract(&headers), remote());

    headers.insert("tracestate", HeaderValue::from_static("vendor=1"));
    headers.append("tracestate", HeaderValue::from_static("other=2"));
    assert_eq!(http::extract(&headers), remote());
}

#[test]
fn a_span_continues_the_trace_and_hands_it_on() {
    traced();
    let span = info_span!("work");
    context::set_parent(&span, &remote());
    let (current, mut outgoing) = (span.in_scope(context::current), HeaderMap::new());
    span.in_scope(|| http::inject(&mut outgoing));

    assert_eq!(context::trace_id(&span).as_deref(), Some(TRACE));
    assert_eq!(current.trace_id().as_deref(), Some(TRACE));
    assert_ne!(
        current.traceparent.as_deref(),
        Some(PARENT),
        "the child's own span id is handed on"
    );
    assert_eq!(current.tracestate, remote().tracestate);
    assert_eq!(http::extract(&outgoing), current);
    assert_eq!(context::of(&span), current);
}

#[test]
fn what_is_no_trace_context_is_ignored() {
    traced();
    let mut wrong_type = FieldTable::default();
    wrong_type.insert("traceparent".into(), AMQPValue::LongInt(7));
    assert!(amqp::extract(&wrong_type).is_empty());
    assert!(http::extract(&HeaderMap::new()).is_empty());

    for bad in [
        "",
        "garbage",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
    ] {
        let span = info_span!("work");
        context::set_parent(&span, &TraceContext::new(Some(bad), None));
        let trace_id = context::trace_id(&span).expect("a trace of its own");
        assert_ne!(trace_id, TRACE, "{bad}");
        assert_ne!(trace_id, "0".repeat(32), "{bad}");
    }
}

#[test]
fn outside_a_span_there_is_nothing_to_hand_on() {
    traced();
    assert_eq!(context::current(), TraceContext::default());
    let (mut headers, mut table) = (HeaderMap::new(), FieldTable::default());
    http::inject(&mut headers);
    amqp::inject(&mut table, &context::current());
    assert!(headers.is_empty() && table.inner().is_empty());
}
