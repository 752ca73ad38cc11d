//! The table of Stripe's errors.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::error::{Answer, Decline, Refusal, StripeError, Unknown, UnknownReason};
use super::wire::{header, id_of};

/// Stripe's error object (<https://docs.stripe.com/api/errors>).
#[derive(Deserialize)]
struct Body {
    error: Wording,
}

#[derive(Default, Deserialize)]
struct Wording {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
    param: Option<String>,
    #[serde(default, deserialize_with = "id_of")]
    payment_intent: Option<String>,
}

/// What an answer other than 2xx means.
///
/// 429, 401 and 403 count by their status alone: whoever gave the answer, the request went no further. A decline and a
/// refusal are believed only in Stripe's own words. localstripe gives its declines the type `invalid_request_error`, so
/// the status decides, as in Stripe's libraries.
pub(super) fn classify(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> StripeError {
    let wording = serde_json::from_slice::<Body>(body).map(|body| body.error).ok();
    let readable = wording.is_some();
    let wording = wording.unwrap_or_default();
    let answer = Answer {
        status: status.as_u16(),
        code: wording.code,
        request_id: header(headers, "request-id"),
    };
    let unknown = |reason, answer| {
        StripeError::Unknown(Unknown {
            reason,
            answer: Some(answer),
        })
    };
    match status.as_u16() {
        429 => StripeError::RateLimited(answer),
        401 | 403 => StripeError::Unauthorized(answer),
        409 => unknown(UnknownReason::Conflict, answer),
        500..=599 => unknown(UnknownReason::ServerError, answer),
        400 | 402 | 404 if !readable => unknown(UnknownReason::Unreadable, answer),
        402 => StripeError::Declined(Box::new(Decline {
            answer,
            decline_code: wording.decline_code,
            message: wording.message,
            payment_intent: wording.payment_intent,
        })),
        // How Stripe worded rate limits once; its libraries still know it.
        400 if answer.code.as_deref() == Some("rate_limit") => StripeError::RateLimited(answer),
        400 | 404 if wording.kind.as_deref() == Some("idempotency_error") => {
            unknown(UnknownReason::KeyReused, answer)
        }
        400 | 404 => StripeError::Refused(Box::new(Refusal {
            answer,
            param: wording.param,
        })),
        _ => unknown(UnknownReason::Unreadable, answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> StripeError {
        let status = StatusCode::from_u16(status).expect("a status");
        let mut headers = HeaderMap::new();
        headers.insert("request-id", "req_1".parse().expect("a header"));
        classify(status, &headers, body.as_bytes())
    }

    fn reason(error: &StripeError) -> Option<UnknownReason> {
        match error {
            StripeError::Unknown(unknown) => Some(unknown.reason),
            _ => None,
        }
    }

    #[test]
    fn every_status_means_what_it_means_to_the_monolith() {
        let worded = r#"{"error": {"type": "invalid_request_error", "message": "No such x"}}"#;
        let key_error = r#"{"error": {"type": "idempotency_error", "message": "Keys …"}}"#;
        let old_limit = r#"{"error": {"type": "invalid_request_error", "code": "rate_limit"}}"#;
        let html = "<html>Bad gateway</html>";
        let table = [
            (400, worded, "refused", None),
            (404, worded, "refused", None),
            (402, worded, "declined", None),
            (400, old_limit, "rate_limited", None),
            (429, worded, "rate_limited", None),
            (429, html, "rate_limited", None),
            (401, worded, "unauthorized", None),
            (403, html, "unauthorized", None),
            (400, key_error, "unknown", Some(UnknownReason::KeyReused)),
            (409, key_error, "unknown", Some(UnknownReason::Conflict)),
            (409, html, "unknown", Some(UnknownReason::Conflict)),
            (500, worded, "unknown", Some(UnknownReason::ServerError)),
            (502, html, "unknown", Some(UnknownReason::ServerError)),
            (503, "", "unknown", Some(UnknownReason::ServerError)),
            // Not in Stripe's words: who knows who answered.
            (400, html, "unknown", Some(UnknownReason::Unreadable)),
            (402, "", "unknown", Some(UnknownReason::Unreadable)),
            (404, "404: Not Found", "unknown", Some(UnknownReason::Unreadable)),
            // What Stripe does not document.
            (301, "", "unknown", Some(UnknownReason::Unreadable)),
            (405, worded, "unknown", Some(UnknownReason::Unreadable)),
            (408, worded, "unknown", Some(UnknownReason::Unreadable)),
        ];
        for (status, body, label, why) in table {
            let error = of(status, body);
            assert_eq!((error.label(), reason(&error)), (label, why), "{status} {body}");
            assert_eq!(error.request_id(), Some("req_1"), "{status} {body}");
        }
    }

    #[test]
    fn a_decline_says_what_is_known_of_it() {
        let body = r#"{"error": {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
            "message": "Your card has insufficient funds.", "charge": "ch_1", "doc_url": "https://…",
            "payment_intent": {"id": "pi_1", "object": "payment_intent", "status": "requires_payment_method"}}}"#;
        let StripeError::Declined(decline) = of(402, body) else {
            panic!("no decline");
        };
        assert_eq!(decline.answer.code.as_deref(), Some("card_declined"));
        assert_eq!(decline.decline_code.as_deref(), Some("insufficient_funds"));
        assert_eq!(
            decline.message.as_deref(),
            Some("Your card has insufficient funds.")
        );
        assert_eq!(decline.payment_intent.as_deref(), Some("pi_1"));
        let shown = format!("{decline} {decline:?}");
        assert!(!shown.contains("funds."), "{shown}");
    }

    #[test]
    fn an_error_shows_no_values_that_were_sent() {
        let body = r#"{"error": {"type": "invalid_request_error", "code": "email_invalid", "param": "email",
            "message": "Invalid email address: jane@example.com"}}"#;
        let error = of(400, body);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("jane"), "{shown}");
        assert_eq!(
            error.to_string(),
            "refused: status 400, code email_invalid, request req_1, parameter email"
        );
    }
}
