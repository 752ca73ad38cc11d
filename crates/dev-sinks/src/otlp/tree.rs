//! A trace as text, for reading.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

use super::Span;

/// What is worth a place beside the name, in this order.
const SHOWN: [&str; 7] = [
    "http.response.status_code",
    "messaging.rabbitmq.destination.routing_key",
    "messaging.message.id",
    "server.address",
    "error.type",
    "exception.type",
    "exception.message",
];

/// Draws the spans of one trace as a tree: offset from the trace's start, duration, service, name and a few attributes.
///
/// A span whose parent is not among them stands as a root. An empty list gives an empty text.
pub fn tree(spans: &[Span]) -> String {
    let mut spans: Vec<&Span> = spans.iter().collect();
    spans.sort_by_key(|span| (span.started(), span.span_id.as_str()));
    let Some(first) = spans.first() else {
        return String::new();
    };
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    let mut text = format!(
        "trace {} · {} spans · {}\n",
        first.trace_id,
        spans.len(),
        services.into_iter().collect::<Vec<_>>().join(", ")
    );
    let known: HashSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
    let is_root = |span: &&Span| {
        span.parent
            .as_deref()
            .is_none_or(|parent| !known.contains(parent))
    };
    let drawing = Drawing { all: &spans, first };
    let roots: Vec<&Span> = spans.iter().copied().filter(is_root).collect();
    for root in roots {
        drawing.draw(root, "", "", &mut text);
    }
    text
}

struct Drawing<'a> {
    all: &'a [&'a Span],
    first: &'a Span,
}

impl Drawing<'_> {
    fn draw(&self, span: &Span, branch: &str, indent: &str, text: &mut String) {
        let offset = match (span.started(), self.first.started()) {
            (Some(own), Some(first)) => (own - first).whole_nanoseconds(),
            _ => 0,
        };
        let _ = write!(
            text,
            "{:>11} {:>11}  {branch}{}  {}",
            milliseconds(offset),
            milliseconds(i128::from(span.duration_ns)),
            span.service,
            span.name
        );
        for name in SHOWN {
            if let Some(value) = span.attributes.get(name) {
                let short = name.rsplit('.').next().unwrap_or(name);
                let short = if name == "messaging.message.id" {
                    "message"
                } else {
                    short
                };
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let _ = write!(text, "  {short}={value}");
            }
        }
        if span.status == "error" {
            let _ = write!(text, "  ERROR {}", span.status_message);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        let children: Vec<&Span> = self
            .all
            .iter()
            .copied()
            .filter(|child| child.parent.as_deref() == Some(&span.span_id) && child.span_id != span.span_id)
            .collect();
        for (place, child) in children.iter().enumerate() {
            let (branch, below) = if place + 1 == children.len() {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            self.draw(
                child,
                &format!("{indent}{branch}"),
                &format!("{indent}{below}"),
                text,
            );
        }
    }
}

/// Nanoseconds as milliseconds with three decimals, without floats.
fn milliseconds(nanos: i128) -> String {
    let micros = nanos.max(0) / 1_000;
    format!("{}.{:03} ms", micros / 1_000, micros % 1_000)
}
