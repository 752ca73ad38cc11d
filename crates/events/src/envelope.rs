//! The CloudEvents envelope.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    DecodeError, Event, EventData,
    decode_error::excerpt,
    payloads::{Rfc3339, UuidText},
};

/// Media type of a structured-mode CloudEvent in JSON.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The only `specversion` there is.
pub(crate) const SPEC_VERSION: &str = "1.0";

/// The only encoding of `data` there is.
pub(crate) const DATA_CONTENT_TYPE: &str = "application/json";

/// Which side performs the side effect of an event that two systems could both act on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum EffectOwner {
    /// The monolith acts; the extracted service only records that it did not.
    Legacy,
    /// The extracted service acts; the monolith does not.
    New,
}

impl EffectOwner {
    /// The owner's name on the wire and in the outbox's headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::New => "new",
        }
    }
}

/// One event as it travels: CloudEvents 1.0 structured JSON.
///
/// `D` is the payload: [`serde_json::Value`] where the type is not known yet, [`Event`] once it is read, or one of
/// [`crate::payloads`]. Attributes that are not listed here are tolerated and dropped.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(
    title = "Envelope",
    description = "One event as it travels: CloudEvents 1.0 structured JSON. Attributes that are not listed here are to be ignored."
)]
pub struct Envelope<D = serde_json::Value> {
    /// Always `1.0`.
    #[schemars(extend("const" = "1.0"))]
    pub specversion: String,
    /// UUIDv7, made by the producer; the key of every inbox.
    #[schemars(with = "UuidText")]
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
    #[schemars(with = "Rfc3339")]
    pub time: OffsetDateTime,
    /// Always `application/json`.
    #[schemars(extend("const" = "application/json"))]
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
    #[schemars(with = "String", regex(pattern = "^[0-9]{19}$"))]
    pub sequence: i64,
    /// Who performs the side effect, where two systems could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effectowner: Option<EffectOwner>,
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
            datacontenttype: DATA_CONTENT_TYPE.into(),
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
        let mut json = serde_json::Deserializer::from_slice(body);
        let raw: Envelope =
            serde_path_to_error::deserialize(&mut json).map_err(|error| DecodeError::envelope(&error))?;
        json.end().map_err(|error| DecodeError::trailing(&error))?;
        if raw.specversion != SPEC_VERSION {
            return Err(DecodeError::SpecVersion(excerpt(&raw.specversion)));
        }
        if raw.datacontenttype != DATA_CONTENT_TYPE {
            return Err(DecodeError::ContentType(excerpt(&raw.datacontenttype)));
        }
        let event = Event::decode(&raw.kind, &raw.dataschema, &raw.data)?;
        Ok(raw.map(|_| event))
    }
}

/// `sequence` is a zero-padded string on the wire and may be read as a number too.
mod sequence {
    use std::fmt;

    use serde::{Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:019}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        deserializer.deserialize_any(Sequence)
    }

    struct Sequence;

    impl de::Visitor<'_> for Sequence {
        type Value = i64;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(
                "a sequence number from 0 to 9223372036854775807, as digits in a string or as a number",
            )
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<i64, E> {
            // `parse` alone would take a sign.
            Some(text)
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
            i64::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
        }
    }
}
