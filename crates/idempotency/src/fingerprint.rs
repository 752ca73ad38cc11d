//! What makes two requests the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::Method;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// JSON nested deeper than this is compared as text. Each level is read once per level above it.
const MAX_DEPTH: u32 = 8;

/// SHA-256 of a request in a canonical form, the *idempotency fingerprint* of the
/// [IETF draft](https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header#section-2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a request whose meaning is its method, its path with the query, and its body. A body that is JSON counts by its
    /// content: the order of members, white space, escapes and the spelling of a number (`10`, `10.0`, `1e1`) make no
    /// difference. Numbers are compared exactly, as decimals.
    pub fn of_request(method: &Method, path_and_query: &str, body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(method.as_str());
        hash.update(" ");
        hash.update(path_and_query);
        hash.update("\n");
        match std::str::from_utf8(body).ok().and_then(canonical) {
            Some(canonical) => hash.update(canonical),
            None => hash.update(body),
        }
        Self(hash.finalize().into())
    }

    /// Of a canonical form of the caller's own, such as the JSON list of the fields that count.
    pub fn of_canonical(text: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// A fingerprint that was made elsewhere.
    pub fn from_sha256(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The text in canonical form; `None` for what is not JSON.
fn canonical(text: &str) -> Option<String> {
    let value: &RawValue = serde_json::from_str(text).ok()?;
    let mut out = String::with_capacity(text.len());
    write(value.get(), 0, &mut out)?;
    Some(out)
}

/// Writes one JSON value. As with most parsers, the last of two members with one name counts.
fn write(text: &str, depth: u32, out: &mut String) -> Option<()> {
    match text.as_bytes().first()? {
        b'{' if depth < MAX_DEPTH => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            out.push('{');
            for (name, value) in members {
                out.push_str(&serde_json::to_string(&name).ok()?);
                out.push(':');
                write(value.get(), depth + 1, out)?;
                out.push(',');
            }
            out.push('}');
        }
        b'[' if depth < MAX_DEPTH => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push('[');
            for value in items {
                write(value.get(), depth + 1, out)?;
                out.push(',');
            }
            out.push(']');
        }
        b'"' => {
            let content: String = serde_json::from_str(text).ok()?;
            out.push_str(&serde_json::to_string(&content).ok()?);
        }
        b'-' | b'0'..=b'9' => write_number(text, out)?,
        _ => out.push_str(text),
    }
    Some(())
}

/// A decimal as its digits without zeros at either end, and the power of ten they are multiplied with: `-1.50` is `-15e-1`.
fn write_number(text: &str, out: &mut String) -> Option<()> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let kept = digits.trim_end_matches('0');
    let dropped = i128::try_from(digits.len() - kept.len()).unwrap_or(i128::MAX);
    let scale = i128::try_from(fraction.len()).unwrap_or(i128::MAX);
    let kept = kept.trim_start_matches('0');
    if kept.is_empty() {
        out.push('0');
        return Some(());
    }
    // An exponent beyond 64 bits is no number of anyone's: its spelling is compared.
    match exponent.parse::<i64>() {
        Ok(exponent) => {
            let exponent = i128::from(exponent) - scale + dropped;
            write!(out, "{sign}{kept}e{exponent}").ok()?;
        }
        Err(_) => out.push_str(text),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn of(body: &str) -> Fingerprint {
        Fingerprint::of_request(&Method::POST, "/things", body.as_bytes())
    }

    #[test]
    fn the_spelling_of_a_body_makes_no_difference() {
        let first =
            of(r#"{"amount": 10.00, "currency": "USD", "deep": {"b": [1, true, null], "a": "\u00e9"}}"#);
        for alike in [
            r#"{"currency":"USD","amount":10,"deep":{"a":"é","b":[1.0,true,null]}}"#,
            "\n{\"deep\" : {\"a\":\"\u{e9}\", \"b\":[10e-1 ,true,null]},\"amount\":1e1 , \"currency\":\"\\u0055SD\"}\n",
            r#"{"currency":"EUR","amount":0.1E+2,"currency":"USD","deep":{"a":"é","b":[1,true,null]}}"#,
        ] {
            assert_eq!(of(alike), first, "{alike}");
        }
    }

    #[test]
    fn another_content_makes_another_request() {
        let bodies = [
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"a":-1}"#,
            r#"{"a":10}"#,
            r#"{"a":0.1}"#,
            r#"{"a":0.30000000000000004}"#,
            r#"{"a":0.3}"#,
            r#"{"a":9007199254740993}"#,
            r#"{"a":9007199254740992}"#,
            r#"{"a":1e99999999999999999999}"#,
            r#"{"a":0}"#,
            r#"{"a":null}"#,
            r#"{"a":[]}"#,
            r#"{"a":[[]]}"#,
            r#"{"a":{}}"#,
            r#"{"b":1}"#,
            r#"{"a":1,"b":1}"#,
            r#"[{"a":1}]"#,
            r#"{"a":[1,2]}"#,
            r#"{"a":[2,1]}"#,
            r#"{"a":12}"#,
            "{",
            "{{",
            "",
        ];
        let mut seen: Vec<Fingerprint> = bodies.iter().map(|body| of(body)).collect();
        seen.push(Fingerprint::of_request(&Method::PUT, "/things", b"{}"));
        seen.push(Fingerprint::of_request(&Method::POST, "/things?a=1", b"{}"));
        seen.push(Fingerprint::of_request(&Method::POST, "/things", b"\xff"));
        for (index, one) in seen.iter().enumerate() {
            assert!(!seen[index + 1..].contains(one), "number {index} has a double");
        }
    }

    #[test]
    fn a_million_brackets_neither_overflow_the_stack_nor_take_long() {
        let bomb = "[".repeat(500_000) + &"]".repeat(500_000);
        assert_eq!(of(&bomb), of(&bomb));
        assert_eq!(of(&"[".repeat(1_000_000)), of(&"[".repeat(1_000_000)));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// The same content with members in reverse order, and with white space.
    fn respelled(value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let members: Vec<String> = members
                    .iter()
                    .rev()
                    .map(|(name, value)| format!(" {} :\t{}", json!(name), respelled(value)))
                    .collect();
                format!("{{{} }}", members.join(","))
            }
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(respelled).collect();
                format!("[\n{}]", items.join(" , "))
            }
            Value::Number(number) => format!("{number}.0"),
            other => other.to_string(),
        }
    }

    proptest! {
        #[test]
        fn what_has_the_same_content_is_the_same_request(value in value()) {
            prop_assert_eq!(of(&value.to_string()), of(&respelled(&value)));
        }

        #[test]
        fn what_has_another_content_is_another_request(one in value(), two in value()) {
            prop_assert_eq!(one == two, of(&one.to_string()) == of(&two.to_string()));
            let wrapped = Value::Object(Map::from_iter([("a".to_owned(), one.clone())]));
            prop_assert_ne!(of(&one.to_string()), of(&wrapped.to_string()));
        }

        #[test]
        fn the_canonical_form_is_its_own(value in value()) {
            // Commas after the last member keep it from being JSON, so numbers alone can be read again.
            if value.is_number() {
                let once = canonical(&value.to_string()).unwrap();
                prop_assert_eq!(canonical(&once).unwrap(), once);
            }
        }
    }
}
