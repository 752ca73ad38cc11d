//! Stripe idempotency keys (<https://docs.stripe.com/api/idempotent_requests>): the same text as in the monolith, so that neither
//! side repeats the other's call.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The longest key that Stripe takes, in characters.
const MAX_KEY_LENGTH: usize = 255;

/// Of a charge: `charge:<user>:<client's key>`.
pub fn charge(user_id: i64, client_key: &str) -> String {
    with_client_key(&format!("charge:{user_id}"), client_key)
}

/// Of a refund: `refund:<payment>:<client's key>`.
pub fn refund(payment_id: i64, client_key: &str) -> String {
    with_client_key(&format!("refund:{payment_id}"), client_key)
}

/// Of a capture: a payment is captured once.
pub fn capture(payment_id: i64) -> String {
    format!("capture:{payment_id}")
}

/// Of a cancellation.
pub fn cancel(payment_id: i64) -> String {
    format!("cancel:{payment_id}")
}

/// Of a payout.
pub fn payout(payout_id: i64) -> String {
    format!("payout:{payout_id}")
}

/// Of a new customer: either side asking for a user gets the same one.
pub fn customer(user_id: i64) -> String {
    format!("customer:{user_id}")
}

/// A client key that would make it longer than Stripe takes is replaced by its SHA-256.
fn with_client_key(prefix: &str, client_key: &str) -> String {
    let key = format!("{prefix}:{client_key}");
    if key.chars().count() <= MAX_KEY_LENGTH {
        return key;
    }
    Sha256::digest(client_key)
        .iter()
        .fold(format!("{prefix}:sha256:"), |mut key, byte| {
            // Writing to a String cannot fail.
            let _ = write!(key, "{byte:02x}");
            key
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::golden;

    #[test]
    fn keys_are_the_monoliths() {
        for vector in golden::vectors("keys") {
            let pair = |name: &str| Some((vector[name][0].as_i64()?, vector[name][1].as_str()?));
            let one = |name: &str| vector[name].as_i64();
            let key = None
                .or(pair("charge").map(|(user, key)| charge(user, key)))
                .or(pair("refund").map(|(payment, key)| refund(payment, key)))
                .or(one("capture").map(capture))
                .or(one("cancel").map(cancel))
                .or(one("payout").map(payout))
                .unwrap();
            assert_eq!(key, golden::text(&vector, "key"), "{vector}");
            assert!(key.len() <= MAX_KEY_LENGTH);
        }
    }
}
