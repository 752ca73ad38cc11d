//! Signatures of outgoing requests, as [Standard Webhooks](https://www.standardwebhooks.com/) has them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Prefix of a symmetric signing secret.
const PREFIX: &str = "whsec_";

/// A symmetric signing key.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

/// A secret that is not one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a signing secret is `whsec_` followed by the base64 of at least 16 bytes")]
pub struct SigningKeyError;

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SigningKey([redacted])")
    }
}

impl SigningKey {
    /// Reads a secret: `whsec_` and base64; the prefix may be missing.
    ///
    /// # Errors
    /// [`SigningKeyError`] when it is no base64, or too short to protect anything.
    pub fn parse(secret: &str) -> Result<Self, SigningKeyError> {
        let key = STANDARD
            .decode(secret.strip_prefix(PREFIX).unwrap_or(secret))
            .map_err(|_| SigningKeyError)?;
        if key.len() < 16 {
            Err(SigningKeyError)
        } else {
            Ok(Self(key))
        }
    }

    /// The value of `webhook-signature` for a body sent under that id at that time (Unix seconds).
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!()
        };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's own libraries.
    #[test]
    fn matches_the_reference() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signature = key.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_short_or_garbled_secret_is_refused() {
        assert!(SigningKey::parse("whsec_c2hvcnQ=").is_err());
        assert!(SigningKey::parse("whsec_***").is_err());
    }
}
