//! What must not be in any log line.

use std::io;
use std::sync::{Arc, Mutex};

use banyan_dev_sinks::stripe::{Fault, FaultRule};
use banyan_test_support::STRIPE_KEY;
use payments::stripe::{CreatePaymentIntent, WebhookVerifier};
use secrecy::SecretString;
use time::OffsetDateTime;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Bench, INTENTS, WEBHOOK_SECRET};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_line_at_any_level_has_a_secret_or_tells_of_a_card_or_a_customer() {
    let mut bench = Bench::with(|stripe| stripe["breaker"]["trip_after"] = 1.into()).await;
    let declining = bench.attached("4000000000000341").await;
    let lines = Lines::default();
    // The runtime of a test has one thread, so this catches the client's connections too.
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(lines.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);

    let mut shown = Vec::new();
    let declined = CreatePaymentIntent {
        payment_method: &declining,
        ..bench.payment()
    };
    shown.push(format!("{:?}", bench.charge_as(&declined, "declined").await));
    let refused = CreatePaymentIntent {
        amount: -1,
        ..bench.payment()
    };
    shown.push(format!("{:?}", bench.charge_as(&refused, "refused").await));
    bench.charge().await.expect("charged");
    for fault in [Fault::RateLimit, Fault::AnswerLost] {
        bench.server.inject(FaultRule::once(fault, "POST", INTENTS));
        shown.push(format!("{:?}", bench.charge_as(&bench.payment(), "faulty").await));
    }
    bench.server.go_down().await;
    while bench.stripe.is_available() {
        shown.push(format!("{:?}", bench.charge().await));
    }
    shown.push(format!("{:?}", bench.stripe));
    let verifier = WebhookVerifier::new(SecretString::from(WEBHOOK_SECRET));
    shown.push(format!(
        "{:?}",
        verifier.verify("t=1,v1=00", b"{}", OffsetDateTime::now_utc())
    ));
    shown.push(format!("{verifier:?}"));

    drop(guard);
    let bytes = lines.0.lock().expect("no panic").clone();
    let log = String::from_utf8(bytes).expect("text");
    assert!(
        log.contains("the circuit breaker changes its state"),
        "it was captured"
    );
    assert!(log.contains("stripe.request_id"), "spans too");
    for line in log.lines().chain(shown.iter().map(String::as_str)) {
        for secret in [
            STRIPE_KEY,
            WEBHOOK_SECRET,
            "Your card was declined",
            bench.card.as_str(),
            declining.as_str(),
            bench.customer.as_str(),
        ] {
            // An intent that was made is a result, not a log line; it names its customer.
            let is_result = line.starts_with("Ok(PaymentIntent");
            assert!(is_result || !line.contains(secret), "{secret} in {line}");
        }
    }
}
