//! Stripe's events: verified over the raw body (<https://docs.stripe.com/webhooks#verify-manually>), then read.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sha2::Sha256;
use time::OffsetDateTime;

/// How far the time of a signature may be from ours, in seconds, both ways. The monolith's library looks at the past only; a time
/// to come is a sign of a forger or of a broken clock, and would make a stolen request good for longer.
const TOLERANCE: u64 = 300;

/// Signatures looked at in one header; Stripe sends two while a secret is rolled.
const MAX_SIGNATURES: usize = 16;

/// Knows Stripe's events by their signature.
#[derive(Clone)]
pub struct WebhookVerifier {
    secret: SecretString,
}

impl fmt::Debug for WebhookVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookVerifier([redacted])")
    }
}

/// Why a request is not taken for an event of Stripe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The header is missing parts, too old, too young, or does not fit the body.
    #[error("the Stripe-Signature header does not fit the body")]
    Signature,
    /// Signed, but no event.
    #[error("the body is not an event")]
    Malformed,
}

/// An event as it was sent.
#[derive(Clone)]
pub struct Event {
    /// `evt_…`; the same when it is sent again.
    pub id: String,
    /// Such as `payment_intent.succeeded`.
    pub kind: String,
    /// When it happened.
    pub created: OffsetDateTime,
    /// What kind of object it is about, such as `payment_intent`; empty where the object does not say.
    pub object_kind: String,
    /// The object's id; empty where it has none.
    pub object_id: String,
    object: Box<RawValue>,
}

// Without the object, which may tell who the customer is.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("created", &self.created)
            .field("object_kind", &self.object_kind)
            .field("object_id", &self.object_id)
            .finish_non_exhaustive()
    }
}

impl Event {
    /// The object as it was when the event happened: late, and perhaps older than what is known. Where the order matters, ask
    /// Stripe for the object as it is now.
    ///
    /// # Errors
    /// [`WebhookError::Malformed`] when it is not such an object.
    pub fn object<T: DeserializeOwned>(&self) -> Result<T, WebhookError> {
        serde_json::from_str(self.object.get()).map_err(|_| WebhookError::Malformed)
    }

    fn parse(body: &[u8]) -> Result<Self, WebhookError> {
        #[derive(Deserialize)]
        struct Sent {
            id: String,
            #[serde(rename = "type")]
            kind: String,
            created: i64,
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            object: Box<RawValue>,
        }
        #[derive(Deserialize)]
        struct Head {
            #[serde(default)]
            id: Option<String>,
            #[serde(default)]
            object: Option<String>,
        }
        let sent: Sent = serde_json::from_slice(body).map_err(|_| WebhookError::Malformed)?;
        // serde would take a list for a struct.
        if !sent.data.object.get().starts_with('{') {
            return Err(WebhookError::Malformed);
        }
        let head: Head = serde_json::from_str(sent.data.object.get()).map_err(|_| WebhookError::Malformed)?;
        let object_id = head.id.unwrap_or_default();
        let fits = (1..=255).contains(&sent.id.len()) && sent.kind.len() <= 100 && object_id.len() <= 255;
        let created = OffsetDateTime::from_unix_timestamp(sent.created)
            .ok()
            .filter(|_| fits);
        Ok(Self {
            id: sent.id,
            kind: sent.kind,
            created: created.ok_or(WebhookError::Malformed)?,
            object_kind: head.object.unwrap_or_default(),
            object_id,
            object: sent.data.object,
        })
    }
}

impl WebhookVerifier {
    /// Verifies by that secret, `whsec_…`, prefix and all. With an empty one nothing is ever verified.
    pub fn new(secret: SecretString) -> Self {
        Self { secret }
    }

    /// Takes a request: `header` is its `Stripe-Signature`, `body` its body byte for byte.
    ///
    /// # Errors
    /// [`WebhookError::Signature`] before anything is read; [`WebhookError::Malformed`] when it is signed but no event.
    pub fn verify(&self, header: &str, body: &[u8], now: OffsetDateTime) -> Result<Event, WebhookError> {
        if self.is_signed(header, body, now.unix_timestamp()) {
            Event::parse(body)
        } else {
            Err(WebhookError::Signature)
        }
    }

    fn is_signed(&self, header: &str, body: &[u8], now: i64) -> bool {
        let values = |wanted: &'static str| {
            header
                .split(',')
                .filter_map(|part| part.trim().split_once('='))
                .filter(move |(name, _)| *name == wanted)
                .map(|(_, value)| value)
        };
        let Some((text, time)) = values("t")
            .next()
            .and_then(|text| Some((text, text.parse::<i64>().ok()?)))
        else {
            return false;
        };
        if now.abs_diff(time) > TOLERANCE || self.secret.expose_secret().is_empty() {
            return false;
        }
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes()) else {
            return false;
        };
        mac.update(text.as_bytes());
        mac.update(b".");
        mac.update(body);
        values("v1")
            .take(MAX_SIGNATURES)
            .filter_map(unhex)
            // In constant time.
            .any(|signature| mac.clone().verify_slice(&signature).is_ok())
    }
}

/// The bytes of a SHA-256 in hexadecimal digits.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::Charge;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const TIME: i64 = 1_700_000_000;

    /// From `hmac.new(b"whsec_test", b'1700000000.{"id":"evt_1"}', sha256)` of Python's standard library.
    const SIGNATURE: &str = "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925";

    fn verifier(secret: &str) -> WebhookVerifier {
        WebhookVerifier::new(SecretString::from(secret.to_owned()))
    }

    fn signed(header: &str, now: i64) -> bool {
        verifier("whsec_test").is_signed(header, BODY, now)
    }

    #[test]
    fn another_implementation_s_signature_is_good_for_five_minutes_both_ways() {
        let header = format!("t={TIME},v1={SIGNATURE}");
        for now in [TIME - 300, TIME, TIME + 300] {
            assert!(signed(&header, now), "{now}");
        }
        for now in [TIME - 301, TIME + 301, i64::MIN, i64::MAX] {
            assert!(!signed(&header, now), "{now}");
        }
    }

    #[test]
    fn one_good_signature_of_several_is_enough_and_other_schemes_do_not_count() {
        let wrong = "0".repeat(64);
        assert!(signed(
            &format!("t={TIME},v1={wrong},v1={SIGNATURE},v0={wrong}"),
            TIME
        ));
        assert!(signed(&format!("t={TIME}, v1={SIGNATURE}"), TIME));
        assert!(!signed(&format!("t={TIME},v1={wrong},v0={SIGNATURE}"), TIME));
        let many = format!(",v1={wrong}").repeat(16);
        assert!(!signed(&format!("t={TIME}{many},v1={SIGNATURE}"), TIME));
    }

    #[test]
    fn a_broken_header_is_no_signature() {
        for header in [
            String::new(),
            format!("v1={SIGNATURE}"),
            format!("t={TIME}"),
            format!("t=x,v1={SIGNATURE}"),
            format!("t={TIME},v1={}", &SIGNATURE[2..]),
            format!("t={TIME},v1={}é", &SIGNATURE[2..]),
            format!("t={},v1={SIGNATURE}", TIME + 1),
        ] {
            assert!(!signed(&header, TIME), "{header}");
        }
    }

    #[test]
    fn without_a_secret_nothing_is_verified() {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(b"") else {
            unreachable!()
        };
        mac.update(format!("{TIME}.").as_bytes());
        mac.update(BODY);
        let forged: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let header = format!("t={TIME},v1={forged}");
        assert!(!verifier("").is_signed(&header, BODY, TIME));
    }

    #[test]
    fn an_event_is_read_and_its_object_kept() {
        let body = br#"{"id": "evt_1", "object": "event", "type": "charge.refunded", "created": 1700000000, "livemode": false,
            "data": {"object": {"id": "ch_1", "object": "charge", "payment_intent": "pi_1"}, "previous_attributes": {}}}"#;
        let event = Event::parse(body).expect("an event");
        assert_eq!(
            (event.id.as_str(), event.kind.as_str()),
            ("evt_1", "charge.refunded")
        );
        assert_eq!(
            (event.object_kind.as_str(), event.object_id.as_str()),
            ("charge", "ch_1")
        );
        assert_eq!(event.created.unix_timestamp(), TIME);
        let charge: Charge = event.object().expect("a charge");
        assert_eq!(charge.payment_intent.as_deref(), Some("pi_1"));
        assert_eq!(event.object::<Vec<u8>>().err(), Some(WebhookError::Malformed));
    }

    #[test]
    fn what_is_no_event_is_told_apart_from_what_is_not_signed() {
        let event = |id: &str, kind: &str, created: &str, object: &str| {
            format!(r#"{{"id": {id}, "type": {kind}, "created": {created}, "data": {{"object": {object}}}}}"#)
        };
        let parse = |text: &str| Event::parse(text.as_bytes()).map(|event| event.object_id).ok();
        assert_eq!(parse(&event(r#""e""#, r#""t""#, "1", "{}")).as_deref(), Some(""));
        for bad in [
            event(r#""""#, r#""t""#, "1", "{}"),
            event("1", r#""t""#, "1", "{}"),
            event(r#""e""#, "null", "1", "{}"),
            event(r#""e""#, r#""t""#, "999999999999999", "{}"),
            event(r#""e""#, r#""t""#, "1", "[]"),
            event(r#""e""#, r#""t""#, "1", "null"),
            event(&format!("\"{}\"", "e".repeat(256)), r#""t""#, "1", "{}"),
            event(r#""e""#, &format!("\"{}\"", "t".repeat(101)), "1", "{}"),
            "{".repeat(10_000),
            "[]".to_owned(),
            String::new(),
        ] {
            assert_eq!(parse(&bad), None, "{bad}");
        }
    }
}
