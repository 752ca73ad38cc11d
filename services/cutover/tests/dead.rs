//! `cutover dead` as an operator types it, against a real broker.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::time::Duration;

use banyan_events::{Envelope, EventData as _, payloads::UserSignup};
use banyan_messaging::{BrokerConfig, Consumer, ConsumerConfig, Delivery, Handler, HandlerError, topology};
use banyan_test_support::{ServiceCommand, TestVhost};
use lapin::{BasicProperties, options::BasicPublishOptions};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

const BOUND: Duration = Duration::from_secs(20);

/// A handler that has no template, say.
struct Broken;

impl Handler for Broken {
    async fn handle(&self, _: &Delivery) -> Result<(), HandlerError> {
        Err(HandlerError::Permanent("template user-signup is broken".into()))
    }
}

struct Operator {
    vhost: TestVhost,
}

impl Operator {
    async fn run(&self, line: &str) -> (Option<i32>, String) {
        let output = ServiceCommand::new(env!("CARGO_BIN_EXE_cutover"))
            .args(line.split('|').map(str::trim))
            .config("database.url", "postgres://nobody@127.0.0.1:1/none")
            .config("legacy.database.url", "postgres://nobody@127.0.0.1:1/none")
            .config("broker.url", &self.vhost.amqp_url)
            .output()
            .await;
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.code(), text)
    }
}

/// Two events that a consumer gave up; returns their ids.
async fn two_dead_events(vhost: &TestVhost) -> Vec<String> {
    let kinds = [UserSignup::KIND];
    let consumer = Consumer::new(
        "notifications",
        &kinds,
        BrokerConfig::new(vhost.amqp_url.clone(), "test"),
        ConsumerConfig::default(),
        Broken,
    );
    consumer.declare().await.unwrap();
    let connection = vhost.connect().await;
    let channel = connection.create_channel().await.unwrap();
    let mut ids = Vec::new();
    for user in 1..=2 {
        let id = uuid::Uuid::now_v7();
        let event = Envelope::new(
            id,
            "/monolith",
            &format!("user/{user}"),
            OffsetDateTime::now_utc(),
            user,
            UserSignup::sample(),
        );
        let properties = BasicProperties::default()
            .with_message_id(id.to_string().into())
            .with_type("user.signup".into());
        let body = serde_json::to_vec(&event).unwrap();
        let (exchange, options) = (topology::DOMAIN_EVENTS.into(), BasicPublishOptions::default());
        channel
            .basic_publish(exchange, "user.signup".into(), options, &body, properties)
            .await
            .unwrap();
        ids.push(id.to_string());
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn(consumer.run(stop.clone()));
    vhost.wait_depth("notifications.events.dead", 2, BOUND).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    ids
}

#[tokio::test]
async fn an_operator_lists_shows_replays_and_discards() {
    let operator = Operator {
        vhost: TestVhost::create().await,
    };
    let ids = two_dead_events(&operator.vhost).await;

    let (code, text) = operator.run("dead|list|notifications").await;
    assert_eq!(code, Some(0), "{text}");
    assert!(ids.iter().all(|id| text.contains(id)), "{text}");
    assert!(
        text.contains("template user-signup is broken") && !text.contains("ada@"),
        "{text}"
    );

    let (_, text) = operator.run(&format!("dead|show|notifications|{}", ids[0])).await;
    assert!(
        text.contains("\"userId\"") && text.contains("redacted") && !text.contains("ada@example.com"),
        "{text}"
    );
    let (_, text) = operator
        .run(&format!("dead|show|notifications|{}|--reveal", ids[0]))
        .await;
    assert!(text.contains("ada@example.com"), "{text}");

    let (code, text) = operator
        .run(&format!("dead|replay|notifications|{}", ids[1]))
        .await;
    assert_eq!(code, Some(0), "{text}");
    let back = operator.vhost.take("notifications.events").await;
    assert_eq!(back.len(), 1);
    assert_eq!(back[0].json()["id"], ids[1].as_str());

    let (code, text) = operator
        .run(&format!(
            "dead|discard|notifications|{}|--reason|sent by hand",
            ids[0]
        ))
        .await;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(operator.vhost.depth("notifications.events.dead").await, Some(0));
    let (code, text) = operator.run("dead|replay|notifications|--all").await;
    assert_eq!(code, Some(1), "nothing fitted: {text}");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let operator = Operator {
        vhost: TestVhost::create().await,
    };
    let (code, text) = operator.run("dead|list|nobody").await;
    assert_ne!(code, Some(0));
    assert!(text.contains("nobody.events.dead does not exist"), "{text}");

    two_dead_events(&operator.vhost).await;
    let (code, text) = operator.run("dead|show|notifications|0190-none").await;
    assert_ne!(code, Some(0));
    assert!(text.contains("0190-none") && text.contains("dead list"), "{text}");
    let (code, text) = operator.run("dead|discard|notifications|--all|--reason| ").await;
    assert_ne!(code, Some(0));
    assert!(text.contains("say why"), "{text}");
    assert_eq!(
        operator.vhost.depth("notifications.events.dead").await,
        Some(2),
        "nothing was thrown away"
    );
}
