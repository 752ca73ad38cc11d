//! A span as it is kept, and its decoding from OTLP.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue as Any, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span as ProtoSpan, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// One finished span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// The parent's span id; `None` for the root of a trace.
    pub parent: Option<String>,
    /// `service.name` of the resource.
    pub service: String,
    /// The span's name.
    pub name: String,
    /// `server`, `client`, `producer`, `consumer` or `internal`.
    pub kind: String,
    /// RFC 3339, UTC, with nanoseconds.
    pub start: String,
    /// RFC 3339, UTC, with nanoseconds.
    pub end: String,
    /// Nanoseconds from start to end.
    pub duration_ns: u64,
    /// `unset`, `ok` or `error`.
    pub status: String,
    /// The status's description; empty where there is none.
    pub status_message: String,
    /// Attributes by name, with OTLP's types as JSON's; bytes as a list of numbers.
    pub attributes: Map<String, Value>,
    /// Names of the span's events in order.
    pub events: Vec<String>,
    /// `<trace id>/<span id>` of the linked spans.
    pub links: Vec<String>,
    /// Attributes of the resource.
    pub resource: Map<String, Value>,
}

impl Span {
    /// An attribute that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_str()
    }

    /// The time it started, for sorting.
    pub(super) fn started(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::parse(&self.start, &Rfc3339).ok()
    }
}

/// All spans of one export request.
pub(super) fn decode(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in request.resource_spans {
        let resource = attributes(
            resource_spans
                .resource
                .unwrap_or_else(Resource::default)
                .attributes,
        );
        for span in resource_spans
            .scope_spans
            .into_iter()
            .flat_map(|scope| scope.spans)
        {
            spans.push(convert(span, &resource));
        }
    }
    spans
}

fn convert(span: ProtoSpan, resource: &Map<String, Value>) -> Span {
    let kind = match span.kind() {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal | SpanKind::Unspecified => "internal",
    };
    let Status { message, code } = span.status.unwrap_or_default();
    let status = match StatusCode::try_from(code) {
        Ok(StatusCode::Ok) => "ok",
        Ok(StatusCode::Error) => "error",
        _ => "unset",
    };
    let service = resource
        .get("service.name")
        .and_then(Value::as_str)
        .unwrap_or("unknown");
    Span {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        service: service.to_owned(),
        name: span.name,
        kind: kind.to_owned(),
        start: rfc3339(span.start_time_unix_nano),
        end: rfc3339(span.end_time_unix_nano),
        duration_ns: span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano),
        status: status.to_owned(),
        status_message: message,
        attributes: attributes(span.attributes),
        events: span.events.into_iter().map(|event| event.name).collect(),
        links: span
            .links
            .into_iter()
            .map(|link| format!("{}/{}", hex(&link.trace_id), hex(&link.span_id)))
            .collect(),
        resource: resource.clone(),
    }
}

fn attributes(pairs: Vec<KeyValue>) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|pair| (pair.key, json(pair.value)))
        .collect()
}

fn json(value: Option<Any>) -> Value {
    match value.and_then(|any| any.value) {
        Some(AnyValue::StringValue(text)) => text.into(),
        Some(AnyValue::BoolValue(flag)) => flag.into(),
        Some(AnyValue::IntValue(number)) => number.into(),
        Some(AnyValue::DoubleValue(number)) => number.into(),
        Some(AnyValue::ArrayValue(list)) => list.values.into_iter().map(|value| json(Some(value))).collect(),
        Some(AnyValue::KvlistValue(list)) => attributes(list.values).into(),
        Some(AnyValue::BytesValue(bytes)) => bytes.into(),
        _ => Value::Null,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// With all nine digits, so that the texts sort as the times do.
fn rfc3339(unix_nanos: u64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:9]Z");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_nanos))
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_default()
}
