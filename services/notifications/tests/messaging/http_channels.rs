//! Text messages and webhooks: signed, and to public addresses only.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use notifications::channels::SigningKey;
use tokio::{net::TcpListener, sync::mpsc};

use crate::support::{Settings, World, payment};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// The receivers of these tests live on this machine.
const LOCAL: Settings<'static> = &[
    ("webhook.addresses.allow", "[\"127.0.0.0/8\"]"),
    ("webhook.addresses.allow_plain_http", "true"),
];

type Received = (HeaderMap, Bytes);

/// Where requests go, and the statuses to answer.
type Answers = (mpsc::UnboundedSender<Received>, Arc<std::sync::Mutex<Vec<u16>>>);

struct Receiver {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Received>,
}

/// An HTTP server that answers with these statuses in turn, the last one for ever.
async fn receiver(statuses: &[u16]) -> Receiver {
    let (sender, requests) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let statuses = Arc::new(std::sync::Mutex::new(statuses.to_vec()));
    let answer = async |State((sender, statuses)): State<Answers>, headers: HeaderMap, body: Bytes| {
        let _ = sender.send((headers, body));
        let mut statuses = statuses.lock().expect("statuses");
        let status = if statuses.len() > 1 {
            statuses.remove(0)
        } else {
            statuses[0]
        };
        let location = [("location", "http://127.0.0.1:1/")];
        (StatusCode::from_u16(status).expect("a status"), location)
    };
    let router = Router::new()
        .route("/{*path}", post(answer))
        .with_state((sender, statuses));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Receiver { address, requests }
}

async fn device(world: &World, kind: &str, address: &str) {
    sqlx::query("INSERT INTO device (user_id, kind, address, secret) VALUES (42, $1, $2, $3)")
        .bind(kind)
        .bind(address)
        .bind(SECRET)
        .execute(&world.db.pool)
        .await
        .expect("a device");
    sqlx::query(
        "INSERT INTO preference (user_id, category, channel) VALUES (42, 'payments', $1)
         ON CONFLICT (user_id, category) DO UPDATE SET channel = excluded.channel",
    )
    .bind(kind)
    .execute(&world.db.pool)
    .await
    .expect("a preference");
}

fn check_signature(headers: &HeaderMap, body: &[u8]) {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .expect("a header")
            .to_owned()
    };
    let key = SigningKey::parse(SECRET).expect("a key");
    let timestamp = text("webhook-timestamp").parse().expect("a time");
    assert_eq!(
        text("webhook-signature"),
        key.sign(&text("webhook-id"), timestamp, body)
    );
}

#[tokio::test]
async fn a_webhook_gets_the_event_signed_and_is_tried_again_after_a_503() {
    let mut receiver = receiver(&[503, 204]).await;
    let world = World::start_with(LOCAL, |_| ()).await;
    world.sign_up(42, "en").await;
    device(&world, "webhook", &format!("http://{}/hook", receiver.address)).await;
    let event = payment(7, 42);
    world.publish(&event).await;
    let (first, _) = receiver.requests.recv().await.expect("a request");
    let (headers, body) = receiver.requests.recv().await.expect("a second request");
    assert_eq!(
        first["webhook-id"], headers["webhook-id"],
        "a repeated one can be told"
    );
    check_signature(&headers, &body);
    let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(
        (&json["type"], &json["data"]["paymentId"]),
        (&"payment.completed".into(), &7.into())
    );
    let row = world.row(event.id, "delivered").await;
    assert_eq!((row.channel.as_str(), row.attempts), ("webhook", 2));
    assert_eq!(world.mails_of(event.id), 0);
}

#[tokio::test]
async fn a_4xx_and_a_redirect_are_final() {
    for status in [410, 302] {
        let receiver = receiver(&[status]).await;
        let world = World::start_with(LOCAL, |_| ()).await;
        world.sign_up(42, "en").await;
        device(&world, "webhook", &format!("http://{}/hook", receiver.address)).await;
        let event = payment(7, 42);
        world.publish(&event).await;
        let row = world.row(event.id, "failed").await;
        assert_eq!(row.attempts, 1);
        assert!(row.error.expect("an error").contains(&status.to_string()));
    }
}

#[tokio::test]
async fn private_addresses_are_refused_by_whatever_name() {
    let mut receiver = receiver(&[204]).await;
    let port = receiver.address.port();
    let world = World::start_with(&[("webhook.addresses.allow_plain_http", "true")], |_| ()).await;
    world.sign_up(42, "en").await;
    for (id, host) in (100..).zip([
        "127.0.0.1",
        // A name that resolves to a private address.
        "localhost",
        // Other spellings of 127.0.0.1.
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.1.1",
        "[fd00::1]",
    ]) {
        device(&world, "webhook", &format!("http://{host}:{port}/hook")).await;
        let event = payment(id, 42);
        world.publish(&event).await;
        let row = world.row(event.id, "failed").await;
        let error = row.error.expect("an error");
        assert!(error.contains("not public"), "{host}: {error}");
        assert_eq!(row.attempts, 1, "{host}");
    }
    for (id, url) in (200..).zip([
        "ftp://example.com/",
        "https://user:secret@example.com/",
        "nonsense",
    ]) {
        device(&world, "webhook", url).await;
        let event = payment(id, 42);
        world.publish(&event).await;
        let error = world.row(event.id, "failed").await.error.expect("an error");
        assert!(error.starts_with("the URL is refused"), "{url}: {error}");
    }
    assert!(receiver.requests.try_recv().is_err(), "somebody was called");
}

#[tokio::test]
async fn plain_http_is_refused_by_default() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    device(&world, "webhook", "http://example.com/hook").await;
    let event = payment(7, 42);
    world.publish(&event).await;
    let error = world.row(event.id, "failed").await.error.expect("an error");
    assert_eq!(error, "the URL is refused: only https is allowed");
}

#[tokio::test]
async fn a_text_message_goes_to_the_provider_or_becomes_a_mail() {
    let mut receiver = receiver(&[200]).await;
    let url = format!("http://{}/messages", receiver.address);
    let settings = [
        ("sms.url", url.as_str()),
        ("sms.secret", SECRET),
        ("sms.addresses.allow", "[\"127.0.0.0/8\"]"),
        ("sms.addresses.allow_plain_http", "true"),
    ];
    let world = World::start_with(&settings, |_| ()).await;
    world.sign_up(42, "en").await;
    device(&world, "sms", "+4912345678").await;
    let event = payment(7, 42);
    world.publish(&event).await;
    let (headers, body) = receiver.requests.recv().await.expect("a request");
    check_signature(&headers, &body);
    let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(json["to"], "+4912345678");
    assert_eq!(json["text"], "We received your payment 7 of 10.00 USD.");
    assert_eq!(world.row(event.id, "delivered").await.channel, "sms");

    let without = World::start().await;
    without.sign_up(42, "en").await;
    device(&without, "sms", "+4912345678").await;
    without.mail_of(&payment(8, 42)).await;
}
