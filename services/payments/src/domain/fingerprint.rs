//! Fingerprints of requests: SHA-256 of the canonical request, byte for byte as the monolith makes them, so that either side knows a
//! key that was used with another request at the other.
//!
//! The canonical request is a JSON array as Python's `json.dumps(…, separators=(",", ":"))` writes it: no spaces, ASCII only.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{
    customer::WantedMethod,
    money::{Currency, CurrencyCode, Minor},
    refund::RefundReason,
};

/// Of a charge.
pub fn charge(
    user_id: i64,
    amount: Minor,
    currency: CurrencyCode,
    method: &WantedMethod,
    capture: bool,
    description: &str,
) -> String {
    sha256(&format!(
        "[{user_id},{},{},{},{capture},{}]",
        amount.0,
        python_json(currency.as_str()),
        python_json(&method.to_string()),
        python_json(description),
    ))
}

/// Of a refund; no amount means all that is left.
pub fn refund(
    payment_id: i64,
    amount: Option<Minor>,
    currency: Currency,
    reason: Option<RefundReason>,
) -> String {
    let amount = amount.map_or_else(
        || "null".to_owned(),
        |amount| python_json(&normalized(amount, currency)),
    );
    let reason = python_json(reason.map_or("", RefundReason::name));
    sha256(&format!("[{payment_id},{amount},{reason}]"))
}

/// Of a subscription.
pub fn subscription(plan_id: i64, method: &WantedMethod, coupon_code: &str) -> String {
    sha256(&format!(
        "[{plan_id},{},{}]",
        python_json(&method.to_string()),
        python_json(coupon_code)
    ))
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A string in JSON as Python writes it: what is not printable ASCII is escaped, in UTF-16 where it takes two units.
fn python_json(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for char in text.chars() {
        match char {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            ' '..='~' => json.push(char),
            _ => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    let _ = write!(json, "\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
    json
}

/// An amount above zero as Python's `str(decimal.normalize())` writes it: without trailing zeros, `1.05`, and where they stand before the
/// point with an exponent, `1E+2`.
fn normalized(amount: Minor, currency: Currency) -> String {
    let all = amount.0.to_string();
    let digits = all.trim_end_matches('0');
    let trimmed = all.len() - digits.len();
    let decimals = usize::from(currency.exponent());
    if trimmed > decimals {
        let (first, rest) = digits.split_at(1.min(digits.len()));
        let point = if rest.is_empty() { "" } else { "." };
        let exponent = (trimmed - decimals) + rest.len();
        return format!("{first}{point}{rest}E+{exponent}");
    }
    let places = decimals - trimmed;
    if places == 0 {
        return digits.to_owned();
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    format!("{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::golden;

    fn method(text: &str) -> WantedMethod {
        text.parse()
            .map_or_else(|_| WantedMethod::Stripe(text.to_owned()), WantedMethod::Id)
    }

    #[test]
    fn fingerprints_of_charges_are_the_monoliths() {
        for vector in golden::vectors("charges") {
            let made = charge(
                golden::integer(&vector, "user"),
                Minor(golden::integer(&vector, "minor")),
                CurrencyCode::new(golden::text(&vector, "currency")).unwrap(),
                &method(golden::text(&vector, "method")),
                vector["capture"].as_bool().unwrap(),
                golden::text(&vector, "description"),
            );
            assert_eq!(made, golden::text(&vector, "fingerprint"), "{vector}");
        }
    }

    #[test]
    fn fingerprints_of_refunds_are_the_monoliths() {
        for vector in golden::vectors("refunds") {
            let code = CurrencyCode::new("USD").unwrap();
            let currency = Currency::new(code, golden::small(&vector, "decimals")).unwrap();
            let reason = RefundReason::from_name(golden::text(&vector, "reason"));
            let amount = vector["minor"].as_i64().map(Minor);
            let made = refund(golden::integer(&vector, "payment"), amount, currency, reason);
            assert_eq!(made, golden::text(&vector, "fingerprint"), "{vector}");
        }
    }

    #[test]
    fn fingerprints_of_subscriptions_are_the_monoliths() {
        for vector in golden::vectors("subscriptions") {
            let method = method(golden::text(&vector, "method"));
            let made = subscription(
                golden::integer(&vector, "plan"),
                &method,
                golden::text(&vector, "coupon"),
            );
            assert_eq!(made, golden::text(&vector, "fingerprint"), "{vector}");
        }
    }
}
