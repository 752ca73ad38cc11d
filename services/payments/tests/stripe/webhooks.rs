//! Events, signed by the front as Stripe signs them.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use banyan_dev_sinks::stripe::{Target, signature};
use banyan_test_support::TestStripe;
use payments::stripe::{
    CaptureMethod, CreatePaymentIntent, Dispute, DisputeStatus, PaymentIntent, WebhookError, WebhookVerifier,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::support::{WEBHOOK_SECRET, charge_key, client_with, soon};

struct Received {
    header: String,
    body: Bytes,
}

/// Where webhooks arrive.
async fn receiver() -> (Target, mpsc::UnboundedReceiver<Received>) {
    async fn take(
        State(sender): State<mpsc::UnboundedSender<Received>>,
        headers: HeaderMap,
        body: Bytes,
    ) -> StatusCode {
        let header = headers["stripe-signature"].to_str().expect("text").to_owned();
        // A test that has seen enough has dropped the other end.
        let _ = sender.send(Received { header, body });
        StatusCode::OK
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (sender, received) = mpsc::unbounded_channel();
    let router = Router::new()
        .route("/hook", axum::routing::post(take))
        .with_state(sender);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let secret = WEBHOOK_SECRET.to_owned();
    (Target { url, secret }, received)
}

/// The next event of that type.
async fn next(received: &mut mpsc::UnboundedReceiver<Received>, kind: &str) -> Received {
    let wanted = async {
        loop {
            let one = received.recv().await.expect("a webhook");
            let event: Value = serde_json::from_slice(&one.body).expect("JSON");
            if event["type"] == kind {
                return one;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wanted)
        .await
        .unwrap_or_else(|_| panic!("no {kind} in time"))
}

fn verifier() -> WebhookVerifier {
    WebhookVerifier::new(SecretString::from(WEBHOOK_SECRET))
}

#[tokio::test]
async fn what_the_front_sends_is_verified_and_read() {
    let (target, mut received) = receiver().await;
    let server = TestStripe::start(Some(target)).await;
    let stripe = client_with(&server.url(), |_| ());
    let customer = stripe.create_customer(42, soon()).await.expect("a customer").id;
    let card = server.card("4242424242424242").await;
    let payment = CreatePaymentIntent {
        payment_id: 7,
        amount: 1000,
        currency: "usd",
        customer: &customer,
        payment_method: &card,
        capture: CaptureMethod::Automatic,
        off_session: false,
    };
    let charged = stripe
        .create_payment_intent(&payment, &charge_key("one"), soon())
        .await
        .expect("charged");

    let sent = next(&mut received, "payment_intent.succeeded").await;
    let now = OffsetDateTime::now_utc();
    let event = verifier()
        .verify(&sent.header, &sent.body, now)
        .expect("an event");
    assert!(event.id.starts_with("evt_"));
    assert_eq!(event.kind, "payment_intent.succeeded");
    assert_eq!(
        (event.object_kind.as_str(), &event.object_id),
        ("payment_intent", &charged.id)
    );
    assert!((now - event.created).abs() < time::Duration::minutes(5));
    let intent: PaymentIntent = event.object().expect("an intent");
    assert_eq!((intent.id, intent.status), (charged.id, charged.status));

    let mut tampered = sent.body.to_vec();
    *tampered.last_mut().expect("not empty") = b' ';
    let verified = verifier().verify(&sent.header, &tampered, now);
    assert_eq!(verified.err(), Some(WebhookError::Signature));
}

#[test]
fn forged_stale_and_early_events_are_refused() {
    let now = OffsetDateTime::now_utc();
    let body = json!({
        "id": "evt_1", "type": "charge.dispute.created", "created": now.unix_timestamp(),
        "data": {"object": {"id": "dp_1", "object": "dispute", "amount": 5, "status": "needs_response"}},
    });
    let body = body.to_string();
    let signed = |secret, moved: i64| signature::sign(secret, now.unix_timestamp() + moved, body.as_bytes());
    let verified = |header: &str| verifier().verify(header, body.as_bytes(), now);

    for moved in [0, -300, 300] {
        let event = verified(&signed(WEBHOOK_SECRET, moved)).expect("an event");
        let dispute: Dispute = event.object().expect("a dispute");
        assert_eq!(dispute.status, DisputeStatus::NeedsResponse);
    }
    for (header, why) in [
        (signed("whsec_of_somebody_else", 0), "forged"),
        (signed(WEBHOOK_SECRET, -301), "stale"),
        (signed(WEBHOOK_SECRET, 301), "from the future"),
        (String::new(), "missing"),
    ] {
        assert_eq!(verified(&header).err(), Some(WebhookError::Signature), "{why}");
    }
    // While the secret is rolled there are two.
    let (old, new) = (signed("whsec_old", 0), signed(WEBHOOK_SECRET, 0));
    let (_, new) = new.split_once(',').expect("t and v1");
    assert!(verified(&format!("{old},{new}")).is_ok());

    let signed_nonsense = signature::sign(WEBHOOK_SECRET, now.unix_timestamp(), b"[]");
    let verified = verifier().verify(&signed_nonsense, b"[]", now);
    assert_eq!(verified.err(), Some(WebhookError::Malformed));
}
