//! [Stripe's signatures](https://docs.stripe.com/webhooks#verify-manually) of webhooks.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Name of the header.
pub const HEADER: &str = "Stripe-Signature";

/// The value of `Stripe-Signature` for a body sent at that time (Unix seconds): `t=<time>,v1=<hex>`.
pub fn sign(secret: &str, time: i64, body: &[u8]) -> String {
    use std::fmt::Write as _;
    let signature = mac(secret, &time.to_string(), body).finalize().into_bytes();
    signature.iter().fold(format!("t={time},v1="), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether one of the signatures of the header is right and not older (or younger) than `tolerance` seconds.
pub fn verify(secret: &str, header: &str, body: &[u8], now: i64, tolerance: u64) -> bool {
    let values = |wanted: &'static str| {
        header
            .split(',')
            .filter_map(|part| part.trim().split_once('='))
            .filter(move |(name, _)| *name == wanted)
            .map(|(_, value)| value)
    };
    let Some(time) = values("t").next() else {
        return false;
    };
    if time
        .parse()
        .is_ok_and(|time: i64| now.abs_diff(time) <= tolerance)
    {
        return values("v1").filter_map(unhex).any(|signature| {
            // In constant time.
            mac(secret, time, body).verify_slice(&signature).is_ok()
        });
    }
    false
}

fn mac(secret: &str, time: &str, body: &[u8]) -> Hmac<Sha256> {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        unreachable!()
    };
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    /// From `hmac.new(b"whsec_test", b'1700000000.{"id":"evt_1"}', sha256)` of Python's standard library.
    const HEADER: &str = "t=1700000000,v1=c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925";

    #[test]
    fn a_signature_is_what_another_implementation_makes() {
        assert_eq!(sign("whsec_test", 1_700_000_000, BODY), HEADER);
    }

    #[test]
    fn time_body_secret_and_form_are_all_checked() {
        let verify_at = |now| verify("whsec_test", HEADER, BODY, now, 300);
        assert!(verify_at(1_700_000_000) && verify_at(1_700_000_300) && verify_at(1_699_999_700));
        assert!(!verify_at(1_700_000_301) && !verify_at(1_699_999_699));
        let now = 1_700_000_000;
        assert!(!verify("whsec_other", HEADER, BODY, now, 300));
        assert!(!verify("whsec_test", HEADER, br#"{"id":"evt_2"}"#, now, 300));
        assert!(verify(
            "whsec_test",
            &format!("t=1700000000,v1=00,{}", &HEADER[13..]),
            BODY,
            now,
            300
        ));
        for broken in [
            "",
            "t=1700000000",
            "v1=00",
            "t=x,v1=00",
            "t=1700000000,v1=0",
            "t=1700000000,v1=é",
        ] {
            assert!(!verify("whsec_test", broken, BODY, now, 300), "{broken}");
        }
    }
}
