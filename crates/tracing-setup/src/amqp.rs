//! Trace context in AMQP message headers, and the spans of publishing and processing a message.

use lapin::types::{AMQPValue, FieldTable};
use tracing::{Span, field, info_span};

use crate::context::{TRACEPARENT, TRACESTATE, TraceContext};

/// Writes `context` into a message's headers; an empty context writes nothing.
pub fn inject(headers: &mut FieldTable, context: &TraceContext) {
    for (name, value) in [
        (TRACEPARENT, &context.traceparent),
        (TRACESTATE, &context.tracestate),
    ] {
        if let Some(value) = value {
            headers.insert(name.into(), AMQPValue::LongString(value.as_str().into()));
        }
    }
}

/// Reads the context of a message's headers; empty where there is none or it is not text.
pub fn extract(headers: &FieldTable) -> TraceContext {
    let text = |name: &str| match headers.inner().get(name) {
        Some(AMQPValue::LongString(value)) => std::str::from_utf8(value.as_bytes()).ok(),
        Some(AMQPValue::ShortString(value)) => Some(value.as_str()),
        _ => None,
    };
    TraceContext::new(text(TRACEPARENT), text(TRACESTATE))
}

/// The producer span `publish <exchange>` of one message.
///
/// See <https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/>.
pub fn publish_span(exchange: &str, routing_key: &str, message_id: &str) -> Span {
    info_span!(
        "publish",
        otel.name = format!("publish {exchange}"),
        otel.kind = "producer",
        otel.status_code = field::Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.name = exchange,
        messaging.rabbitmq.destination.routing_key = routing_key,
        messaging.message.id = message_id,
        error.type = field::Empty,
    )
}

/// The consumer span `process <queue>` of one message.
///
/// Give it the message's context with [`set_parent`](crate::context::set_parent) before entering it.
pub fn process_span(queue: &str, routing_key: &str, message_id: &str) -> Span {
    info_span!(
        "process",
        otel.name = format!("process {queue}"),
        otel.kind = "consumer",
        otel.status_code = field::Empty,
        messaging.system = "rabbitmq",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = queue,
        messaging.rabbitmq.destination.routing_key = routing_key,
        messaging.message.id = message_id,
        error.type = field::Empty,
    )
}

/// Marks a messaging span as failed; `kind` is a short, low-cardinality class such as `timeout`, never a message text.
pub fn record_error(span: &Span, kind: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind);
}
