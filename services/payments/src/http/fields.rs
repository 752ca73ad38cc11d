//! The fields that several requests have.

use banyan_service_kit::body::Body;

use crate::domain::customer::WantedMethod;
use crate::domain::money::{BadAmount, Currency, Minor, RawAmount};

/// The most characters of a Stripe id after `pm_`.
const MAX_STRIPE_ID: usize = 60;

/// An amount in major units; `None` where it is absent, or wrong.
pub(super) fn amount(body: &mut Body, currency: Currency) -> Option<Minor> {
    let read = Minor::parse(raw_amount(body.raw("amount")?.get()).borrow(), currency);
    match read {
        Ok(amount) => Some(amount),
        Err(bad) => {
            fail(body, bad);
            None
        }
    }
}

fn fail(body: &mut Body, bad: BadAmount) {
    body.fail("amount", bad.to_string());
}

/// The id of a payment method, or a Stripe id; `None` where it is wrong.
pub(super) fn payment_method(body: &mut Body) -> Option<WantedMethod> {
    let raw = body.raw("paymentMethodId").map(|raw| raw.get().to_owned());
    let wanted = raw.as_deref().and_then(|raw| {
        if let Ok(id) = serde_json::from_str::<i64>(raw) {
            return Some(WantedMethod::Id(id));
        }
        let text = serde_json::from_str::<String>(raw).ok()?;
        is_stripe_id(&text).then_some(WantedMethod::Stripe(text))
    });
    if wanted.is_none() {
        let message = match raw {
            None => "is required",
            Some(_) => "must be the id of a payment method, or a Stripe id such as pm_card_visa",
        };
        body.fail("paymentMethodId", message);
    }
    wanted
}

/// `pm_[A-Za-z0-9_]{1,60}`
fn is_stripe_id(text: &str) -> bool {
    text.strip_prefix("pm_").is_some_and(|rest| {
        (1..=MAX_STRIPE_ID).contains(&rest.len())
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// The JSON value of an amount; its number stays text.
enum Sent<'a> {
    Text(String),
    Number(&'a str),
    Other,
}

impl Sent<'_> {
    fn borrow(&self) -> RawAmount<'_> {
        match self {
            Self::Text(text) => RawAmount::Text(text),
            Self::Number(text) => RawAmount::Number(text),
            Self::Other => RawAmount::Other,
        }
    }
}

fn raw_amount(json: &str) -> Sent<'_> {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json).map_or(Sent::Other, Sent::Text),
        Some(b'-' | b'0'..=b'9') => Sent::Number(json),
        _ => Sent::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::CurrencyCode;

    fn body(json: &str) -> Body {
        Body::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn amounts_are_exact_whatever_they_are_sent_as() {
        let usd = Currency::new(CurrencyCode::new("USD").unwrap(), 2).unwrap();
        for (json, expected) in [
            (r#"{"amount": 0.30}"#, Some(30)),
            (r#"{"amount": "0.30"}"#, Some(30)),
            (r#"{"amount": 0.30000000000000004}"#, None),
            (r#"{"amount": 3e1}"#, Some(3000)),
            (r#"{"amount": true}"#, None),
            (r#"{"amount": [1]}"#, None),
            (r#"{"amount": "-1"}"#, None),
        ] {
            let mut body = body(json);
            assert_eq!(amount(&mut body, usd), expected.map(Minor), "{json}");
            assert_eq!(body.failed("amount"), expected.is_none(), "{json}");
        }
        assert_eq!(amount(&mut body("{}"), usd), None);
    }

    #[test]
    fn a_payment_method_is_an_id_here_or_at_stripe() {
        for (json, expected) in [
            ("7", Some(WantedMethod::Id(7))),
            (
                r#""pm_card_visa""#,
                Some(WantedMethod::Stripe("pm_card_visa".to_owned())),
            ),
            (r#""pm_""#, None),
            (r#""card_1""#, None),
            (r#""pm_a b""#, None),
            ("7.5", None),
            ("true", None),
        ] {
            let mut body = body(&format!("{{\"paymentMethodId\": {json}}}"));
            assert_eq!(payment_method(&mut body), expected, "{json}");
            assert_eq!(body.failed("paymentMethodId"), expected.is_none(), "{json}");
        }
    }
}
