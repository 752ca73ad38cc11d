//! What the monolith's own code answered, see `golden/make.py`.

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The vectors of one kind; there must be some.
pub(super) fn vectors(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../golden/vectors.json")).expect("it is JSON");
    let vectors = all[kind].as_array().expect("the kind is known").clone();
    assert!(!vectors.is_empty());
    vectors
}

/// A field that is a text.
pub(super) fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} of {vector}"))
}

/// A field that is an integer.
pub(super) fn integer(vector: &Value, field: &str) -> i64 {
    vector[field]
        .as_i64()
        .unwrap_or_else(|| panic!("{field} of {vector}"))
}

/// A field that is a small integer.
pub(super) fn small<T: TryFrom<i64>>(vector: &Value, field: &str) -> T {
    T::try_from(integer(vector, field)).unwrap_or_else(|_| panic!("{field} of {vector}"))
}

/// A field that is a moment.
pub(super) fn moment(vector: &Value, field: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text(vector, field), &Rfc3339).expect("a moment of RFC 3339")
}
