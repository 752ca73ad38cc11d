//! What goes over the wire, and answers that neither localstripe nor the front gives: a server that says what it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use payments::stripe::{
    CaptureMethod, CreatePaymentIntent, PaymentIntent, StripeClient, StripeError, UnknownReason,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::support::{charge_key, client_with, soon};

const INTENT: &str =
    r#"{"id": "pi_1", "status": "succeeded", "amount": 1000, "currency": "usd", "created": 1700000000}"#;

/// An answer with this status line, these headers and this body; an empty one closes the connection instead.
fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nrequest-id: req_1\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// Gives each request the next of the answers; the last one to all that follow.
struct Script {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Script {
    async fn start(answers: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut answers, requests): (VecDeque<_>, _) =
            (answers.iter().cloned().collect(), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                requests.lock().expect("no panic").push(request);
                let next = if answers.len() > 1 {
                    answers.pop_front()
                } else {
                    answers.front().cloned()
                };
                let _ = stream.write_all(next.unwrap_or_default().as_bytes()).await;
            }
        });
        Self { url, seen }
    }

    fn client(&self) -> StripeClient {
        client_with(&self.url, |_| ())
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }
}

/// A whole request, header names in lower case as hyper writes them.
async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().expect("a number")) {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}

async fn charge(stripe: &StripeClient, deadline: Instant) -> Result<PaymentIntent, StripeError> {
    let payment = CreatePaymentIntent {
        payment_id: 7,
        amount: 1000,
        currency: "usd",
        customer: "cus_1",
        payment_method: "pm_1",
        capture: CaptureMethod::Automatic,
        off_session: false,
    };
    let key = charge_key("order 7");
    stripe.create_payment_intent(&payment, &key, deadline).await
}

fn reason(result: Result<PaymentIntent, StripeError>) -> UnknownReason {
    match result {
        Err(StripeError::Unknown(unknown)) => unknown.reason,
        other => panic!("not unknown: {other:?}"),
    }
}

#[tokio::test]
async fn a_request_says_who_asks_in_which_version_under_which_key_and_in_which_trace() {
    if let Ok(telemetry) =
        banyan_tracing_setup::init("payments-test", "0", banyan_tracing_setup::LogTo::Output)
    {
        std::mem::forget(telemetry);
    }
    let server = Script::start(&[String::new(), answer("200 OK", "", INTENT)]).await;
    let span = tracing::info_span!("the charge");
    let trace = banyan_tracing_setup::context::trace_id(&span).expect("a trace");
    let charged = charge(&server.client(), soon()).instrument(span).await;
    assert!(charged.is_ok(), "{charged:?}");

    let seen = server.seen();
    assert_eq!(seen.len(), 2, "tried twice");
    for request in &seen {
        for line in [
            "POST /v1/payment_intents HTTP/1.1\r\n",
            "\r\nauthorization: Bearer sk_test_only_for_tests\r\n",
            "\r\nstripe-version: 2026-10-28.endive\r\n",
            "\r\nidempotency-key: charge:42:order 7\r\n",
            "\r\ncontent-type: application/x-www-form-urlencoded\r\n",
            &format!("\r\ntraceparent: 00-{trace}-"),
        ] {
            assert!(request.contains(line), "{line:?} is missing in {request}");
        }
        assert!(
            request.ends_with("&confirm=true&metadata%5Bpayment_id%5D=7"),
            "{request}"
        );
    }
    let parent = |request: &str| {
        let line = request.lines().find(|line| line.starts_with("traceparent"));
        line.expect("a traceparent").to_owned()
    };
    assert_ne!(
        parent(&seen[0]),
        parent(&seen[1]),
        "each try is a span of its own"
    );
}

#[tokio::test]
async fn a_read_has_its_parameters_in_the_query_and_no_key() {
    let server = Script::start(&[answer("200 OK", "", r#"{"data": [], "has_more": false}"#)]).await;
    let refunds = server.client().refunds_of("pi_1", soon()).await;
    assert_eq!(refunds, Ok(vec![]));
    let seen = server.seen();
    assert!(
        seen[0].starts_with("GET /v1/refunds?payment_intent=pi_1&limit=100 HTTP/1.1\r\n"),
        "{seen:?}"
    );
    assert!(!seen[0].contains("idempotency-key"), "{seen:?}");
}

#[tokio::test]
async fn a_try_that_did_nothing_leaves_an_earlier_lost_one_unknown() {
    let limited = answer(
        "429 Too Many Requests",
        "",
        r#"{"error": {"type": "invalid_request_error"}}"#,
    );
    let server = Script::start(&[String::new(), limited]).await;
    assert_eq!(
        reason(charge(&server.client(), soon()).await),
        UnknownReason::ConnectionLost
    );
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn stripe_says_whether_and_when_to_try_again() {
    let error = r#"{"error": {"type": "api_error"}}"#;
    let refused = r#"{"error": {"type": "invalid_request_error"}}"#;

    let no = Script::start(&[answer(
        "500 Internal Server Error",
        "stripe-should-retry: false\r\n",
        error,
    )])
    .await;
    assert_eq!(
        reason(charge(&no.client(), soon()).await),
        UnknownReason::ServerError
    );
    assert_eq!(no.seen().len(), 1);

    let yes = [
        answer("400 Bad Request", "stripe-should-retry: true\r\n", refused),
        answer("200 OK", "", INTENT),
    ];
    let yes = Script::start(&yes).await;
    assert!(charge(&yes.client(), soon()).await.is_ok());
    assert_eq!(yes.seen().len(), 2);

    // Later than the caller can wait.
    let later = Script::start(&[answer("429 Too Many Requests", "retry-after: 3600\r\n", refused)]).await;
    let started = Instant::now();
    let limited = charge(&later.client(), soon()).await;
    assert!(matches!(limited, Err(StripeError::RateLimited(_))), "{limited:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(later.seen().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_not_stripe_s_is_unknown_and_no_redirect_is_followed() {
    let table = [
        (
            answer("200 OK", "", "<html>Welcome</html>"),
            UnknownReason::Unreadable,
            1,
        ),
        (
            answer("200 OK", "", r#"{"id": "pi_1"}"#),
            UnknownReason::Unreadable,
            1,
        ),
        (
            answer("302 Found", "location: /v1/payment_intents\r\n", ""),
            UnknownReason::Unreadable,
            1,
        ),
        (
            answer("502 Bad Gateway", "", "<html>Bad gateway</html>"),
            UnknownReason::ServerError,
            3,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"id\":".to_owned(),
            UnknownReason::ConnectionLost,
            3,
        ),
        (
            "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
            UnknownReason::ConnectionLost,
            3,
        ),
    ];
    for (text, expected, tries) in table {
        let server = Script::start(std::slice::from_ref(&text)).await;
        assert_eq!(reason(charge(&server.client(), soon()).await), expected, "{text}");
        assert_eq!(server.seen().len(), tries, "{text}");
    }
}

#[tokio::test]
async fn a_key_that_stripe_does_not_take_is_nobody_s_decline() {
    let server = Script::start(&[answer(
        "401 Unauthorized",
        "",
        r#"{"error": {"type": "invalid_request_error"}}"#,
    )])
    .await;
    let refused = charge(&server.client(), soon()).await;
    assert!(
        matches!(refused, Err(StripeError::Unauthorized(_))),
        "{refused:?}"
    );
    assert_eq!(server.seen().len(), 1);
    let wrong = |key: &str| client_setup(key).err().map(|error| error.to_string());
    assert!(wrong("pk_live_1").is_some_and(|text| text.contains("secret_key") && !text.contains("pk_live")));
    assert!(wrong("sk_1\n").is_some() && wrong("").is_some() && wrong("rk_1").is_none());
}

fn client_setup(key: &str) -> Result<StripeClient, payments::stripe::SetupError> {
    let config = crate::support::config("http://127.0.0.1:1", |stripe| {
        stripe.insert("secret_key".into(), key.into());
    });
    StripeClient::new(config, payments::stripe::full_jitter)
}
