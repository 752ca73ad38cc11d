//! Stripe idempotency keys, as headers; their texts are made in `domain::stripe_key`.
//!
//! Stripe keeps the first answer to a key for 24 hours and gives it again
//! (<https://docs.stripe.com/api/idempotent_requests>); a key sent again with other parameters is refused.

use reqwest::header::HeaderValue;

use crate::domain::stripe_key;

/// Stripe takes keys of up to 255 characters.
const MAX_LENGTH: usize = 255;

/// An `Idempotency-Key`: 1 to 255 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// A text that cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to 255 printable ASCII characters")]
pub struct InvalidKey;

impl IdempotencyKey {
    /// Any other key, such as a UUID made for one attach or detach.
    ///
    /// # Errors
    /// [`InvalidKey`] when it is empty, too long, or has characters that a header cannot carry as they are.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidKey> {
        let text = text.into();
        if (1..=MAX_LENGTH).contains(&text.len()) && is_printable(&text) {
            Ok(Self(text))
        } else {
            Err(InvalidKey)
        }
    }

    /// The key of one call that no retry of ours repeats.
    #[must_use]
    pub fn unique(id: uuid::Uuid) -> Self {
        Self(id.to_string())
    }

    /// The key of a charge: `charge:<user>:<client's key>`.
    ///
    /// # Errors
    /// [`InvalidKey`] when the client's key is empty or not printable ASCII.
    pub fn charge(user_id: i64, client_key: &str) -> Result<Self, InvalidKey> {
        printable(client_key).map(|key| Self(stripe_key::charge(user_id, key)))
    }

    /// The key of a refund: `refund:<payment>:<client's key>`.
    ///
    /// # Errors
    /// [`InvalidKey`] when the client's key is empty or not printable ASCII.
    pub fn refund(payment_id: i64, client_key: &str) -> Result<Self, InvalidKey> {
        printable(client_key).map(|key| Self(stripe_key::refund(payment_id, key)))
    }

    /// The key of a customer: asked for twice, Stripe gives the same one.
    #[must_use]
    pub fn customer(user_id: i64) -> Self {
        Self(stripe_key::customer(user_id))
    }

    /// The key of a capture: a payment is captured once.
    #[must_use]
    pub fn capture(payment_id: i64) -> Self {
        Self(stripe_key::capture(payment_id))
    }

    /// The key of a cancellation.
    #[must_use]
    pub fn cancel(payment_id: i64) -> Self {
        Self(stripe_key::cancel(payment_id))
    }

    /// The key of a payout.
    #[must_use]
    pub fn payout(payout_id: i64) -> Self {
        Self(stripe_key::payout(payout_id))
    }

    /// The text, as it is stored with an attempt.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The header's value. Printable ASCII always is one.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

/// The client's key, if a header can carry it.
fn printable(client_key: &str) -> Result<&str, InvalidKey> {
    if client_key.is_empty() || !is_printable(client_key) {
        return Err(InvalidKey);
    }
    Ok(client_key)
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_monolith_s() {
        let charge = IdempotencyKey::charge(42, "order 7").expect("a key");
        assert_eq!(charge.as_str(), "charge:42:order 7");
        assert_eq!(
            IdempotencyKey::refund(7, "r").expect("a key").as_str(),
            "refund:7:r"
        );
        assert_eq!(IdempotencyKey::capture(7).as_str(), "capture:7");
        assert_eq!(IdempotencyKey::cancel(7).as_str(), "cancel:7");
        assert_eq!(IdempotencyKey::payout(7).as_str(), "payout:7");
        assert_eq!(IdempotencyKey::customer(42).as_str(), "customer:42");
    }

    /// The digest is `hashlib.sha256(b"k" * 255).hexdigest()` of Python's standard library.
    #[test]
    fn a_key_that_would_be_too_long_is_hashed_as_the_monolith_hashes_it() {
        let longest = "k".repeat(255 - "charge:42:".len());
        let kept = IdempotencyKey::charge(42, &longest).expect("a key");
        assert_eq!(kept.as_str().len(), 255);
        let hashed = IdempotencyKey::charge(42, &"k".repeat(255)).expect("a key");
        assert_eq!(
            hashed.as_str(),
            "charge:42:sha256:767527047c4621915da44b8a2aa3165e70ee554e2563526df03765e8ed8d091e"
        );
    }

    #[test]
    fn what_a_header_cannot_carry_is_no_key() {
        for text in ["", "a\nb", "ключ", "a\u{7f}"] {
            assert_eq!(IdempotencyKey::charge(1, text), Err(InvalidKey), "{text:?}");
            assert_eq!(IdempotencyKey::new(text), Err(InvalidKey), "{text:?}");
        }
        assert_eq!(IdempotencyKey::new("k".repeat(256)), Err(InvalidKey));
        assert!(IdempotencyKey::new("k".repeat(255)).is_ok_and(|key| key.header().is_some()));
    }
}
