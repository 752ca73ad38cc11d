//! What the messages are made of.

use banyan_events::{EffectOwner, Envelope, Event, EventKind, payloads::UserSignup};
use banyan_messaging::{
    RelayConfig,
    outbox::{self, NewEvent},
};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::support::{Stage, sample};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn an_event_is_a_cloud_event_with_the_properties_of_the_contract() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    let mut event = NewEvent::new("user/42", sample(EventKind::UserSignup));
    event.effect_owner = Some(EffectOwner::New);
    let id = event.id;
    let data = serde_json::to_value(&event.event).unwrap();
    let mut transaction = stage.pool().begin().await.unwrap();
    assert_eq!(outbox::publish(&mut transaction, event).await.unwrap(), id);
    transaction.commit().await.unwrap();
    // As a writer with tracing on, and a moment that is not now.
    let at: OffsetDateTime = sqlx::query_scalar(
        "UPDATE outbox SET created_at = '2026-03-01T12:34:56.789Z',
           headers = headers || jsonb_build_object('traceparent', $1::text, 'tracestate', 'vendor=1') RETURNING created_at",
    )
    .bind(TRACEPARENT)
    .fetch_one(stage.pool())
    .await
    .unwrap();
    assert_eq!(stage.relay(RelayConfig::default()).drain_once().await.unwrap(), 1);

    let one = tap.messages(1).await.remove(0);
    assert_eq!(
        one.body,
        json!({
            "specversion": "1.0", "id": id.to_string(), "source": "/monolith", "type": "user.signup",
            "subject": "user/42", "time": "2026-03-01T12:34:56.789Z", "datacontenttype": "application/json",
            "dataschema": "urn:banyan:events:user.signup:1", "data": data, "sequence": "0000000000000000001",
            "effectowner": "new", "traceparent": TRACEPARENT, "tracestate": "vendor=1",
        })
    );
    assert_eq!(one.routing_key, "user.signup");
    let properties = &one.properties;
    assert_eq!(
        properties.content_type().as_ref().unwrap().as_str(),
        "application/cloudevents+json"
    );
    assert_eq!(*properties.delivery_mode(), Some(2), "persistent");
    assert_eq!(properties.message_id().as_ref().unwrap().as_str(), id.to_string());
    assert_eq!(properties.kind().as_ref().unwrap().as_str(), "user.signup");
    assert_eq!(properties.app_id().as_ref().unwrap().as_str(), "/monolith");
    assert_eq!(
        *properties.timestamp(),
        Some(u64::try_from(at.unix_timestamp()).unwrap())
    );
    let headers: Vec<(String, String)> = properties
        .headers()
        .as_ref()
        .unwrap()
        .inner()
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_long_string().unwrap().to_string()))
        .collect();
    assert_eq!(
        headers,
        [
            ("traceparent".to_owned(), TRACEPARENT.to_owned()),
            ("tracestate".to_owned(), "vendor=1".to_owned())
        ]
    );
}

#[tokio::test]
async fn every_kind_comes_through_as_it_was_written() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    let mut connection = stage.pool().acquire().await.unwrap();
    for kind in EventKind::ALL {
        let event = NewEvent::new(format!("kind/{}", kind.name()), sample(*kind));
        outbox::publish(&mut connection, event).await.unwrap();
    }
    stage.relay(RelayConfig::default()).drain_once().await.unwrap();
    let seen = tap.messages(EventKind::ALL.len()).await;
    for (one, kind) in seen.iter().zip(EventKind::ALL) {
        let envelope = Envelope::<Event>::decode(one.body.to_string().as_bytes()).unwrap();
        assert_eq!(envelope.data, sample(*kind));
        assert_eq!(envelope.effectowner, None);
        assert_eq!(one.routing_key, kind.name());
    }
}

/// A newer writer shares the table: its events are not the relay's to judge.
#[tokio::test]
async fn an_unknown_type_is_published_as_it_is() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    for headers in [
        json!({}),
        json!({"dataschema": "urn:banyan:events:moon.landed:7"}),
    ] {
        sqlx::query("INSERT INTO outbox (id, subject, type, payload, headers) VALUES ($1, 'moon/1', 'moon.landed', $2, $3)")
            .bind(Uuid::now_v7())
            .bind(json!({"exact": 1}))
            .bind(headers)
            .execute(stage.pool())
            .await
            .unwrap();
    }
    // A number that a float cannot hold, and an escape: the text is the writer's.
    sqlx::raw_sql(
        r#"UPDATE outbox SET payload = '{"exact": 123456789012345678901234567890.10, "text": "a\u00e9\n"}'"#,
    )
    .execute(stage.pool())
    .await
    .unwrap();
    stage.relay(RelayConfig::default()).drain_once().await.unwrap();
    let seen = tap.messages(2).await;
    assert_eq!(seen[0].body["dataschema"], "urn:banyan:events:moon.landed:1");
    assert_eq!(seen[1].body["dataschema"], "urn:banyan:events:moon.landed:7");
    assert_eq!(seen[0].routing_key, "moon.landed");
    assert_eq!(seen[0].body["data"]["text"], "aé\n");
    // The tap's JSON reads it as a float; the bytes are asked for.
    stage.write_raw_again("moon.landed").await;
    let raw = stage.vhost.take("raw").await;
    let text = String::from_utf8(raw[0].body.clone()).unwrap();
    assert!(text.contains("123456789012345678901234567890.10"), "{text}");
}

impl Stage {
    /// Publishes the rows once more into a queue that keeps them.
    async fn write_raw_again(&self, kind: &str) {
        self.queue("raw", kind, &[]).await;
        sqlx::raw_sql("UPDATE outbox SET published_at = NULL")
            .execute(self.pool())
            .await
            .unwrap();
        self.relay(RelayConfig::default()).drain_once().await.unwrap();
    }
}

/// A trace state is a stranger's text; one that does not fit a frame must not stop the outbox.
#[tokio::test]
async fn headers_that_no_frame_can_hold_do_not_stop_the_others() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    stage.write("payment/1").await;
    sqlx::query("UPDATE outbox SET headers = headers || jsonb_build_object('traceparent', $1::text, 'tracestate', repeat('x', 200000))")
        .bind(TRACEPARENT)
        .execute(stage.pool())
        .await
        .unwrap();
    stage.write("payment/1").await;
    assert_eq!(stage.relay(RelayConfig::default()).drain_once().await.unwrap(), 2);
    let seen = tap.messages(2).await;
    assert_eq!(seen[0].body["traceparent"], TRACEPARENT, "the trace goes on");
    assert_eq!(
        seen[0].body.get("tracestate"),
        None,
        "without the state that nobody has to keep"
    );
}

/// Larger than any frame.
#[tokio::test]
async fn a_large_event_comes_through_whole() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    let mut signup = match sample(EventKind::UserSignup) {
        Event::UserSignup(signup) => signup,
        other => panic!("{other:?}"),
    };
    signup.display_name = "ß".repeat(400_000);
    let mut connection = stage.pool().acquire().await.unwrap();
    outbox::publish(&mut connection, NewEvent::new("user/1", signup.clone()))
        .await
        .unwrap();
    stage.relay(RelayConfig::default()).drain_once().await.unwrap();
    let seen = tap.messages(1).await;
    let UserSignup { display_name, .. } = signup;
    assert_eq!(
        seen[0].body["data"]["displayName"].as_str(),
        Some(display_name.as_str())
    );
}
