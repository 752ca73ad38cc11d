//! The header `Idempotency-Key`.

use axum::http::{HeaderMap, HeaderName};
use banyan_service_kit::Problem;

use crate::problem;

/// The request header, lower case as HTTP/2 has it.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, as Stripe has it.
pub const MAX_KEY_BYTES: usize = 255;

/// What a client calls a request, so that it can send it again: 1 to 255 printable ASCII characters.
///
/// The [IETF draft](https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header) writes the value as a
/// structured-field string in quotes; [Stripe](https://docs.stripe.com/api/idempotent_requests) and the clients of this
/// platform send the bare text. It is taken as it comes: quotes are part of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The request's key, without white space around it.
    ///
    /// # Errors
    /// 400 [`problem::KEY_MISSING`] without one, 400 [`problem::KEY_INVALID`] for one that is too long or not printable
    /// ASCII, and for two of them.
    pub fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let key = values.next().map(|value| value.as_bytes().trim_ascii());
        let key = key.filter(|key| !key.is_empty()).ok_or_else(problem::missing)?;
        // Which of two keys to believe is not ours to guess.
        let printable = key.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if key.len() > MAX_KEY_BYTES || !printable || values.next().is_some() {
            return Err(problem::invalid());
        }
        Ok(Self(String::from_utf8_lossy(key).into_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn key_of(values: &[&[u8]]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        }
        match Key::of(&headers) {
            Ok(key) => Ok(key.as_str().to_owned()),
            Err(problem) => Err(problem.kind().slug),
        }
    }

    #[test]
    fn without_a_key_it_is_missing() {
        for values in [&[] as &[&[u8]], &[b""], &[b"   \t"]] {
            assert_eq!(key_of(values), Err("idempotency-key-missing"));
        }
    }

    #[test]
    fn two_keys_are_none() {
        assert_eq!(key_of(&[b"one", b"two"]), Err("idempotency-key-invalid"));
    }

    proptest! {
        #[test]
        fn up_to_255_printable_ascii_characters_are_a_key(key in "[!-~]([ -~]{0,253}[!-~])?", space in "[ \t]{0,3}") {
            prop_assert_eq!(key_of(&[format!("{space}{key}{space}").as_bytes()]), Ok(key));
        }

        #[test]
        fn a_longer_text_is_none(key in "[!-~]{256,400}") {
            prop_assert_eq!(key_of(&[key.as_bytes()]), Err("idempotency-key-invalid"));
        }

        #[test]
        fn a_byte_beyond_printable_ascii_is_refused(head in "[!-~]{1,9}", byte in 0x80..=0xff_u8, tail in "[!-~]{1,9}") {
            let key = [head.as_bytes(), &[byte], tail.as_bytes()].concat();
            prop_assert_eq!(key_of(&[&key]), Err("idempotency-key-invalid"));
        }
    }
}
