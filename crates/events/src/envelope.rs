//! The CloudEvents envelope.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Event, EventData};

/// Media type of a structured-mode CloudEvent in JSON.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The only `specversion` there is.
const SPEC_VERSION: &str = "1.0";

/// Which side performs the side effect of an event that two systems could both act on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EffectOwner {
    /// The monolith acts; the extracted service only records that it did not.
    Legacy,
    /// The extracted service acts; the monolith does not.
    New,
}

/// One event as it travels: CloudEvents 1.0 structured JSON.
///
/// `D` is the payload: [`serde_json::Value`] where the type is not known yet, or one of [`crate::payloads`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Envelope<D = serde_json::Value> {
    /// Always `1.0`.
    pub specversion: String,
    /// UUIDv7, made by the producer; the key of every inbox.
    pub id: Uuid,
    /// The producer: `/monolith`, `/payments` …
    pub source: String,
    /// The event type, also the AMQP routing key: `payment.completed` …
    #[serde(rename = "type")]
    pub kind: String,
    /// What the event is about: `user/42`, `payment/7`. Events of one subject keep their order.
    pub subject: String,
    /// When it happened, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// `urn:banyan:events:<type>:<major>`.
    pub dataschema: String,
    /// The payload.
    pub data: D,
    /// W3C trace context of the transaction that wrote the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// W3C trace state of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
    /// Grows with every event of the subject (gaps are possible). A string of digits on the wire, zero-padded so that it
    /// sorts as text, as the CloudEvents `sequence` extension asks for.
    #[serde(with = "sequence")]
    pub sequence: i64,
    /// Who performs the side effect, where two systems could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effectowner: Option<EffectOwner>,
}

/// Why a message body is not an event of ours. None of these can succeed on a second try.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or an attribute of the envelope is missing or of the wrong type.
    #[error("not a CloudEvent: {0}")]
    Envelope(#[from] serde_path_to_error::Error<serde_json::Error>),
    /// A CloudEvents version other than 1.0.
    #[error("specversion {0:?} is not supported, only {SPEC_VERSION:?} is")]
    SpecVersion(String),
    /// A type nobody here knows.
    #[error("unknown event type {0:?}")]
    UnknownType(String),
    /// A known type in a major version nobody here knows.
    #[error("unknown dataschema {found:?} for {kind}, this consumer reads {expected:?}")]
    UnknownVersion {
        /// The event type.
        kind: String,
        /// What the envelope says.
        found: String,
        /// What this build reads.
        expected: String,
    },
    /// The payload lacks a required field or has one of the wrong type; the path is named.
    #[error("data of {kind} at `{path}`: {reason}")]
    Data {
        /// The event type.
        kind: String,
        /// Path of the field inside `data`.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl<D> Envelope<D> {
    /// An envelope around `data` with the attributes that follow from its type filled in.
    pub fn new(id: Uuid, source: &str, subject: &str, time: OffsetDateTime, sequence: i64, data: D) -> Self
    where
        D: EventData,
    {
        Self {
            specversion: SPEC_VERSION.into(),
            id,
            source: source.into(),
            kind: D::KIND.name().into(),
            subject: subject.into(),
            time,
            datacontenttype: "application/json".into(),
            dataschema: D::KIND.dataschema(),
            data,
            traceparent: None,
            tracestate: None,
            sequence,
            effectowner: None,
        }
    }

    /// The same envelope around another payload.
    pub fn map<E>(self, payload: impl FnOnce(D) -> E) -> Envelope<E> {
        Envelope {
            specversion: self.specversion,
            id: self.id,
            source: self.source,
            kind: self.kind,
            subject: self.subject,
            time: self.time,
            datacontenttype: self.datacontenttype,
            dataschema: self.dataschema,
            data: payload(self.data),
            traceparent: self.traceparent,
            tracestate: self.tracestate,
            sequence: self.sequence,
            effectowner: self.effectowner,
        }
    }
}

impl Envelope<Event> {
    /// Reads a message body strictly: envelope, version, type, payload.
    ///
    /// # Errors
    /// [`DecodeError`] names the attribute or the field; such a message can never succeed.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let raw: Envelope<serde_json::Value> =
            serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body))?;
        if raw.specversion != SPEC_VERSION {
            return Err(DecodeError::SpecVersion(raw.specversion));
        }
        let event = Event::decode(&raw.kind, &raw.dataschema, &raw.data)?;
        Ok(raw.map(|_| event))
    }
}

/// `sequence` is a zero-padded string on the wire and may be read as a number too.
mod sequence {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:019}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Wire {
            Text(String),
            Number(i64),
        }
        match Wire::deserialize(deserializer)? {
            Wire::Number(number) => Ok(number),
            Wire::Text(text) => text
                .parse()
                .map_err(|_| D::Error::custom("sequence is not a number")),
        }
    }
}
