//! W3C trace context as plain text, for carriers that have no headers: an outbox row, a job's arguments.
//!
//! The format is that of <https://www.w3.org/TR/trace-context/>. What does not parse is ignored: the span then starts a
//! trace of its own, because a bad header of a stranger must never fail a request.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";

/// The two W3C headers, unparsed. Both are `None` where there is no trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// `00-<trace id>-<parent span id>-<flags>`.
    pub traceparent: Option<String>,
    /// Vendor data that travels with the trace; never empty.
    pub tracestate: Option<String>,
}

impl TraceContext {
    /// A context from stored header texts; an empty text counts as absent.
    pub fn new(traceparent: Option<&str>, tracestate: Option<&str>) -> Self {
        let kept = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            traceparent: kept(traceparent),
            tracestate: kept(tracestate),
        }
    }

    /// Whether no trace is named.
    pub fn is_empty(&self) -> bool {
        self.traceparent.is_none()
    }

    /// The trace id, 32 hex digits, when `traceparent` is valid.
    pub fn trace_id(&self) -> Option<String> {
        valid_trace_id(&remote(self))
    }

    fn of(context: &Context) -> Self {
        let mut headers = HashMap::with_capacity(2);
        TraceContextPropagator::new().inject_context(context, &mut headers);
        Self::new(
            headers.get(TRACEPARENT).map(String::as_str),
            headers.get(TRACESTATE).map(String::as_str),
        )
    }
}

impl Extractor for TraceContext {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACEPARENT => self.traceparent.as_deref(),
            TRACESTATE => self.tracestate.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}

/// The context of the current span, to be handed on to whatever continues the work elsewhere.
pub fn current() -> TraceContext {
    TraceContext::of(&Span::current().context())
}

/// The context of `span`. Starts the span: its parent can no longer be set.
pub fn of(span: &Span) -> TraceContext {
    TraceContext::of(&span.context())
}

/// Makes `span` a child of the span that `parent` names. An empty or invalid context leaves the span as it was.
///
/// Must be called before the span is entered or asked for its context: a started span keeps the parent it has.
pub fn set_parent(span: &Span, parent: &TraceContext) {
    let context = remote(parent);
    if context.span().span_context().is_valid()
        && let Err(error) = span.set_parent(context)
    {
        // No layer and a filtered span are what happens when tracing is off; a started span is a mistake of the caller.
        tracing::debug!(%error, "trace parent not set");
    }
}

/// Links `span` to the span that `other` names: for work that continues several traces at once, like a batch.
pub fn add_link(span: &Span, other: &TraceContext) {
    span.add_link(remote(other).span().span_context().clone());
}

/// The trace id of `span`, 32 hex digits; `None` while tracing is off. Starts the span.
pub fn trace_id(span: &Span) -> Option<String> {
    valid_trace_id(&span.context())
}

fn remote(context: &TraceContext) -> Context {
    // An empty context, not the current one: what is not named by the carrier must not leak in from the thread.
    TraceContextPropagator::new().extract_with_context(&Context::new(), context)
}

fn valid_trace_id(context: &Context) -> Option<String> {
    let span = context.span();
    let span_context = span.span_context();
    span_context
        .is_valid()
        .then(|| span_context.trace_id().to_string())
}
