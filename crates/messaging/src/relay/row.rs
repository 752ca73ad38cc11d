//! An outbox row as a message.

use banyan_events::{CONTENT_TYPE, EffectOwner, Envelope, EventKind};
use banyan_tracing_setup::{amqp, context, context::TraceContext};
use lapin::{BasicProperties, types::FieldTable};
use serde_json::value::RawValue;
use sqlx::FromRow;
use time::OffsetDateTime;
use tracing::Span;
use uuid::Uuid;

use crate::topology::DOMAIN_EVENTS;

const PERSISTENT: u8 = 2;

/// Longer trace texts are left out. They are strangers' and travel in the message's header, which must fit a frame: the
/// broker closes the connection over one that does not, and the outbox would never get past it.
/// W3C asks for 512 characters of `tracestate` to be kept, <https://www.w3.org/TR/trace-context/#tracestate-limits>.
const TRACE_TEXT_MAX: usize = 512;

/// An unpublished row.
#[derive(Debug, FromRow)]
pub(super) struct Row {
    id: Uuid,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) sequence: i64,
    payload: String,
    created_at: OffsetDateTime,
    traceparent: Option<String>,
    tracestate: Option<String>,
    effectowner: Option<String>,
    dataschema: Option<String>,
}

/// What goes to the broker.
pub(super) struct Message {
    pub(super) body: Vec<u8>,
    pub(super) properties: BasicProperties,
    /// Ends with the broker's confirm.
    pub(super) span: Span,
}

impl Row {
    /// The message. A type that this build does not know is published too: a newer writer shares the table, and a
    /// consumer that cannot read it says so in its dead queue.
    pub(super) fn into_message(mut self, source: &str) -> Result<Message, serde_json::Error> {
        self.traceparent.take_if(|text| text.len() > TRACE_TEXT_MAX);
        self.tracestate.take_if(|text| text.len() > TRACE_TEXT_MAX);
        let written_in = TraceContext::new(self.traceparent.as_deref(), self.tracestate.as_deref());
        let id = self.id.to_string();
        let span = amqp::publish_span(DOMAIN_EVENTS, &self.kind, &id);
        let published_in = if span.is_disabled() {
            TraceContext::default()
        } else {
            context::set_parent(&span, &written_in);
            context::of(&span)
        };
        let mut headers = FieldTable::default();
        // With tracing off in this process, the consumer continues the writer's span.
        amqp::inject(
            &mut headers,
            if published_in.is_empty() {
                &written_in
            } else {
                &published_in
            },
        );
        let properties = BasicProperties::default()
            .with_content_type(CONTENT_TYPE.into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(id.into())
            .with_type(self.kind.as_str().into())
            .with_timestamp(u64::try_from(self.created_at.unix_timestamp()).unwrap_or(0))
            .with_app_id(source.into())
            .with_headers(headers);
        let body = serde_json::to_vec(&self.into_envelope(source)?)?;
        Ok(Message {
            body,
            properties,
            span,
        })
    }

    /// The payload is passed on as the text that the writer stored, not read and written again.
    fn into_envelope(self, source: &str) -> Result<Envelope<Box<RawValue>>, serde_json::Error> {
        let dataschema = self.dataschema.unwrap_or_else(|| {
            EventKind::from_name(&self.kind).map_or_else(
                || format!("urn:banyan:events:{}:1", self.kind),
                EventKind::dataschema,
            )
        });
        Ok(Envelope {
            specversion: "1.0".into(),
            id: self.id,
            source: source.into(),
            kind: self.kind,
            subject: self.subject,
            time: self.created_at,
            datacontenttype: "application/json".into(),
            dataschema,
            data: RawValue::from_string(self.payload)?,
            traceparent: self.traceparent,
            tracestate: self.tracestate,
            sequence: self.sequence,
            effectowner: match self.effectowner.as_deref() {
                Some("legacy") => Some(EffectOwner::Legacy),
                Some("new") => Some(EffectOwner::New),
                _ => None,
            },
        })
    }
}
