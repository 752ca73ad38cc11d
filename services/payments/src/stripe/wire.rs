//! How Stripe writes things down.

use reqwest::header::HeaderMap;
use serde::{Deserialize, Deserializer};

/// A header's text.
pub(super) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Whether a text may be one of Stripe's ids. What is not must not become part of a path: an empty one would list all
/// objects, and `..` would name another resource.
pub(super) fn is_id(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// A field that is an id, or the object itself where Stripe (asked to expand it) or localstripe (unasked) puts that.
pub(super) fn id_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Reference {
        Id(String),
        Object { id: String },
    }
    let reference = Option::<Reference>::deserialize(deserializer)?;
    Ok(reference.map(|reference| match reference {
        Reference::Id(id) | Reference::Object { id } => id,
    }))
}

/// A number of our own that was written into an object's `metadata`.
pub(super) fn own_id(text: &str) -> Option<i64> {
    // `parse` takes a sign too, which we do not write.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_an_id_gets_into_a_path() {
        for id in ["pi_3Nabc", "pm_card_visa", "evt_1-a"] {
            assert!(is_id(id), "{id}");
        }
        for text in [
            "",
            ".",
            "..",
            "pi_1/capture",
            "pi_1?x",
            "pi 1",
            "ü",
            &"a".repeat(256),
        ] {
            assert!(!is_id(text), "{text}");
        }
    }

    #[test]
    fn a_reference_is_an_id_an_object_or_nothing() {
        #[derive(Deserialize)]
        struct Holder {
            #[serde(default, deserialize_with = "id_of")]
            charge: Option<String>,
        }
        let read = |text| serde_json::from_str::<Holder>(text).expect("a holder").charge;
        assert_eq!(read(r#"{"charge": "ch_1"}"#).as_deref(), Some("ch_1"));
        assert_eq!(
            read(r#"{"charge": {"id": "ch_1", "paid": true}}"#).as_deref(),
            Some("ch_1")
        );
        assert_eq!(read(r#"{"charge": null}"#), None);
        assert_eq!(read("{}"), None);
    }

    #[test]
    fn our_own_numbers_are_digits_alone() {
        assert_eq!(own_id("42"), Some(42));
        assert_eq!(own_id("9223372036854775807"), Some(i64::MAX));
        for text in ["", "-1", "+1", "9223372036854775808", "4 2", "٤"] {
            assert_eq!(own_id(text), None, "{text}");
        }
    }
}
