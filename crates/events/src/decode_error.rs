//! Why a message is not an event of ours.

use serde_json::error::Category;

use crate::envelope::{DATA_CONTENT_TYPE, SPEC_VERSION};

/// The longest piece of a foreign text that an error quotes, in characters: reasons travel in AMQP headers.
const EXCERPT: usize = 80;

/// Why a message body is not an event of ours. None of these can succeed on a second try.
///
/// The texts end up in logs and message headers, so they name the place and what was expected there but never quote
/// a value from `data`, which may be an address or a token.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or an attribute of the envelope is missing or of the wrong type.
    #[error("not a CloudEvent: `{path}` {reason}")]
    Envelope {
        /// The attribute; `.` for the whole body.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A CloudEvents version other than 1.0.
    #[error("specversion {0:?} is not supported, only {SPEC_VERSION:?} is")]
    SpecVersion(String),
    /// `data` in an encoding other than JSON.
    #[error("datacontenttype {0:?} is not supported, only {DATA_CONTENT_TYPE:?} is")]
    ContentType(String),
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
    #[error("data of {kind}: `{path}` {reason}")]
    Data {
        /// The event type.
        kind: String,
        /// Path of the field inside `data`; `.` for all of it.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

type PathError = serde_path_to_error::Error<serde_json::Error>;

impl DecodeError {
    pub(crate) fn envelope(error: &PathError) -> Self {
        let (path, reason) = describe(error);
        Self::Envelope { path, reason }
    }

    pub(crate) fn trailing(error: &serde_json::Error) -> Self {
        Self::Envelope {
            path: ".".into(),
            reason: format!("is not JSON: {error}"),
        }
    }

    pub(crate) fn data(kind: &str, error: &PathError) -> Self {
        let (path, reason) = describe(error);
        Self::Data {
            kind: kind.into(),
            path,
            reason,
        }
    }
}

/// The beginning of a foreign text.
pub(crate) fn excerpt(text: &str) -> String {
    let mut excerpt: String = text.chars().take(EXCERPT).collect();
    if excerpt.len() < text.len() {
        excerpt.push('…');
    }
    excerpt
}

/// Path and reason of a decoding error, without the value that did not fit.
fn describe(error: &PathError) -> (String, String) {
    let path = error.path().to_string();
    let message = error.inner().to_string();
    if error.inner().classify() != Category::Data {
        return (path, format!("is not JSON: {message}"));
    }
    if let Some(field) = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next())
    {
        let path = if path == "." {
            field.into()
        } else {
            format!("{path}.{field}")
        };
        return (path, "is missing".into());
    }
    // serde writes "<what it found, with the value>, expected <what it wanted>"; only the value must go.
    let reason = match message.rsplit_once(", expected ") {
        Some((found, expected)) => match json_type(found) {
            Some(found) => format!("is of type {found}, expected {expected}"),
            None => format!("has an unexpected value, expected {expected}"),
        },
        // Anything else is a text of the parsers of times and ids, which do not quote.
        None => format!("has an unexpected value: {message}"),
    };
    (path, reason)
}

/// The JSON type named in serde's "invalid type: …".
fn json_type(found: &str) -> Option<&'static str> {
    let found = found.strip_prefix("invalid type: ")?;
    [
        ("string", "string"),
        ("integer", "integer"),
        ("floating point", "fraction"),
        ("boolean", "boolean"),
        ("null", "null"),
        ("map", "object"),
        ("sequence", "array"),
    ]
    .into_iter()
    .find_map(|(prefix, name)| found.starts_with(prefix).then_some(name))
}
