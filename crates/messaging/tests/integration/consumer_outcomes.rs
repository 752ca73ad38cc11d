//! What becomes of an event that was not handled.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use banyan_events::{EventData, payloads::PaymentCompleted};
use banyan_messaging::{Consumer, HandlerError, header, topology};
use banyan_test_support::{QueuedMessage, wait_until};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::support::{KINDS, SOON, Script, Stage, consume, metrics_text, quick};

const DEAD: &str = "test.events.dead";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

fn retry(reason: &str) -> HandlerError {
    HandlerError::Retry(reason.into())
}

async fn one_dead(stage: &Stage) -> QueuedMessage {
    stage.wait_depth(DEAD, 1).await;
    stage.vhost.take(DEAD).await.remove(0)
}

fn header_of<'a>(message: &'a QueuedMessage, name: &str) -> &'a str {
    message
        .headers
        .get(name)
        .unwrap_or_else(|| panic!("{name} is missing: {:?}", message.headers))
}

#[tokio::test]
async fn a_retried_event_climbs_every_rung_and_ends_dead() {
    let stage = Stage::new().await;
    let script = Script::new(|delivery| async move { Err(retry(&format!("attempt {}", delivery.attempt))) });
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    let id = stage.post("payment/7", 1).await;

    let dead = one_dead(&stage).await;
    let calls = script.calls();
    assert_eq!(
        calls.iter().map(|call| call.attempt).collect::<Vec<_>>(),
        [1, 2, 3, 4],
        "three rungs, then dead"
    );
    assert!(calls.iter().all(|call| call.envelope.id == id));
    assert_eq!(dead.message_id, Some(id.to_string()));
    assert_eq!(
        dead.json()["id"],
        id.to_string(),
        "the bytes are those that were published"
    );
    assert_eq!(header_of(&dead, header::ATTEMPT), "4");
    assert_eq!(header_of(&dead, header::REASON), "attempt 4");
    assert_eq!(header_of(&dead, header::ORIGINAL_QUEUE), "test.events");
    assert_eq!(
        header_of(&dead, header::ORIGINAL_ROUTING_KEY),
        "payment.completed"
    );
    let [failed, died] = [header::FIRST_FAILED_AT, header::DEAD_AT]
        .map(|name| OffsetDateTime::parse(header_of(&dead, name), &Rfc3339).unwrap());
    // Each rung lets at least four fifths of its delay pass.
    assert!(
        died - failed >= time::Duration::milliseconds(240),
        "{failed} to {died}"
    );
    assert!(
        !dead.headers.keys().any(|name| name.starts_with("x-death")),
        "{:?}",
        dead.headers
    );
    consuming.stop().await;
    stage.wait_depth("test.events", 0).await;
}

#[tokio::test]
async fn an_event_that_works_at_the_second_attempt_is_done() {
    let stage = Stage::new().await;
    let script = Script::new(|delivery| async move {
        match delivery.attempt {
            1 => Err(retry("not yet")),
            _ => Ok(()),
        }
    });
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    stage.post("payment/7", 1).await;
    script.called(2).await;
    consuming.stop().await;
    for queue in [
        "test.events",
        "test.events.retry.50ms",
        "test.events.retry.100ms",
        DEAD,
    ] {
        assert_eq!(stage.vhost.depth(queue).await, Some(0), "{queue}");
    }
}

#[tokio::test]
async fn a_permanent_failure_is_dead_at_once() {
    let stage = Stage::new().await;
    // Longer than a header should be, and not of single bytes.
    let script = Script::new(|_| async { Err(HandlerError::Permanent("ß".repeat(40_000))) });
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    stage.post("payment/7", 1).await;
    let dead = one_dead(&stage).await;
    assert_eq!(header_of(&dead, header::REASON), "ß".repeat(500));
    assert_eq!(header_of(&dead, header::ATTEMPT), "1");
    assert_eq!(script.calls().len(), 1);
    consuming.stop().await;
}

#[tokio::test]
async fn a_panic_is_a_retry() {
    let stage = Stage::new().await;
    let script = Script::new(|delivery| async move {
        assert_eq!(delivery.attempt, 2, "boom");
        Ok(())
    });
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    stage.post("payment/7", 1).await;
    script.called(2).await;
    consuming.stop().await;
    assert_eq!(stage.vhost.depth(DEAD).await, Some(0));
}

/// What can never be read goes straight to dead, says why without the values, and holds nobody up.
#[tokio::test]
async fn poison_is_dead_with_its_reason_and_never_on_the_ladder() {
    let stage = Stage::new().await;
    let script = Script::content();
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
    let envelope = |kind: &str, major: u32, data: serde_json::Value| {
        json!({
            "specversion": "1.0", "id": Uuid::now_v7().to_string(), "source": "/monolith", "type": kind,
            "subject": "payment/7", "time": now, "datacontenttype": "application/json",
            "dataschema": format!("urn:banyan:events:{kind}:{major}"), "data": data, "sequence": "1",
        })
        .to_string()
    };
    let good = serde_json::to_value(PaymentCompleted::sample()).unwrap();
    let mut missing = good.clone();
    missing.as_object_mut().unwrap().remove("currency");
    let mut secret = good.clone();
    secret["userId"] = json!("someone@example.com");
    let cases = [
        ("not JSON".to_owned(), "not a CloudEvent"),
        (String::new(), "not a CloudEvent"),
        (json!({"id": 1}).to_string(), "not a CloudEvent: `id`"),
        (
            envelope("moon.landed", 1, good.clone()),
            "unknown event type \"moon.landed\"",
        ),
        (envelope("payment.completed", 9, good), "unknown dataschema"),
        (envelope("payment.completed", 1, missing), "currency"),
        (envelope("payment.completed", 1, secret), "userId"),
    ];
    for (number, (body, _)) in cases.iter().enumerate() {
        let mut headers = FieldTable::default();
        headers.insert("n".into(), AMQPValue::LongInt(i32::try_from(number).unwrap()));
        headers.insert(
            "traceparent".into(),
            AMQPValue::LongString(format!("00-{TRACE_ID}-b7ad6b7169203331-01").into()),
        );
        let properties = BasicProperties::default().with_headers(headers);
        stage
            .post_raw("payment.completed", body.as_bytes(), properties)
            .await;
    }
    let fine = stage.post("payment/7", 2).await;
    assert_eq!(script.called(1).await[0].envelope.id, fine);
    stage.wait_depth(DEAD, u32::try_from(cases.len()).unwrap()).await;

    let dead: BTreeMap<usize, QueuedMessage> = stage
        .vhost
        .take(DEAD)
        .await
        .into_iter()
        .map(|message| (header_of(&message, "n").parse().unwrap(), message))
        .collect();
    for (number, (body, reason)) in cases.iter().enumerate() {
        let message = &dead[&number];
        let found = header_of(message, header::REASON);
        assert!(found.contains(reason), "{body}: {found}");
        assert!(
            !found.contains("example.com"),
            "a value of the payload is told: {found}"
        );
        assert_eq!(message.body, body.as_bytes());
        assert_eq!(header_of(message, header::ATTEMPT), "1");
        assert_eq!(header_of(message, header::TRACE_ID), TRACE_ID);
        Uuid::parse_str(header_of(message, header::DEAD_ID)).expect("a name for what has none");
    }
    assert_eq!(script.calls().len(), 1, "no handler saw them");
    consuming.stop().await;
}

/// An event of a kind that this version does not know how to handle comes from another version's binding.
#[tokio::test]
async fn a_kind_of_another_version_waits_on_the_ladder() {
    let stage = Stage::new().await;
    let script = Script::content();
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    stage.queue_binds_more("payout.paid").await;
    let kind = banyan_events::EventKind::PayoutPaid;
    let banyan_events::Event::PayoutPaid(data) = kind.sample() else {
        panic!("another sample")
    };
    let envelope = banyan_events::Envelope::new(
        Uuid::now_v7(),
        "/payments",
        "payout/1",
        OffsetDateTime::now_utc(),
        1,
        data,
    );
    let body = serde_json::to_vec(&envelope).unwrap();
    stage
        .post_raw(kind.name(), &body, BasicProperties::default())
        .await;
    let dead = one_dead(&stage).await;
    assert_eq!(header_of(&dead, header::ATTEMPT), "4");
    assert!(header_of(&dead, header::REASON).contains("does not handle payout.paid"));
    assert!(script.calls().is_empty());
    consuming.stop().await;
}

impl Stage {
    async fn queue_binds_more(&self, key: &str) {
        self.channel()
            .await
            .queue_bind(
                "test.events".into(),
                topology::DOMAIN_EVENTS.into(),
                key.into(),
                lapin::options::QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
    }
}

/// While the service's database is away nothing is burnt: no attempt, no ladder; and all resumes by itself.
#[tokio::test]
async fn unavailable_holds_still_and_resumes() {
    let stage = Stage::new().await;
    let away = Arc::new(AtomicBool::new(true));
    let script = Script::new({
        let away = Arc::clone(&away);
        move |_| {
            let away = away.load(Ordering::SeqCst);
            async move {
                if away {
                    return Err(HandlerError::Unavailable("the database is away".into()));
                }
                Ok(())
            }
        }
    });
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    let first = stage.post("payment/1", 1).await;
    // It is tried again and again, and nothing else is begun meanwhile.
    script.called(2).await;
    for sequence in 2..=30 {
        stage.post(&format!("payment/{sequence}"), sequence).await;
    }
    let tried = script.calls().len();
    let calls = script.called(tried + 1).await;
    assert!(
        calls.iter().all(|call| call.envelope.id == first),
        "another event was begun"
    );
    away.store(false, Ordering::SeqCst);
    let question = async || stage.vhost.depth("test.events").await;
    wait_until("an empty queue", SOON, question, |depth| *depth == Some(0)).await;
    script.called(calls.len() + 29).await;
    assert!(
        script.calls().iter().all(|call| call.attempt == 1),
        "an attempt was counted"
    );
    consuming.stop().await;
    for queue in ["test.events", "test.events.retry.50ms", DEAD] {
        assert_eq!(stage.vhost.depth(queue).await, Some(0), "{queue}");
    }
}

/// A shutdown does not wait for what is away: the event goes back.
#[tokio::test]
async fn a_held_event_goes_back_at_shutdown() {
    let stage = Stage::new().await;
    let script = Script::new(|_| async { Err(HandlerError::Unavailable("away".into())) });
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    stage.post("payment/1", 1).await;
    script.called(2).await;
    consuming.stop().await;
    stage.wait_depth("test.events", 1).await;
    let back = stage.vhost.take("test.events").await;
    assert!(
        !back[0].headers.contains_key(header::ATTEMPT),
        "{:?}",
        back[0].headers
    );
}

#[tokio::test]
async fn the_depths_and_the_outcomes_are_measured() {
    let _ = metrics_text();
    let stage = Stage::new().await;
    let script = Script::new(|_| async { Err(HandlerError::Permanent("never".into())) });
    // A name of its own: the metrics are those of the process.
    let consumer = Consumer::new("measured", &KINDS, stage.broker(), quick(), script);
    consumer.declare().await.unwrap();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let task = tokio::spawn(consumer.run(shutdown.clone()));
    stage.post("payment/1", 1).await;
    stage.post("payment/2", 2).await;
    for line in [
        r#"banyan_dead_depth{queue="measured.events.dead"} 2"#,
        r#"banyan_retry_depth{queue="measured.events.retry.50ms"} 0"#,
        r#"banyan_consumer_events_total{consumer="measured.events",type="payment.completed",outcome="dead"} 2"#,
        r#"banyan_consumer_duration_seconds_count{consumer="measured.events",type="payment.completed"} 2"#,
    ] {
        let question = async || metrics_text();
        wait_until(line, SOON, question, |text| text.contains(line)).await;
    }
    shutdown.cancel();
    task.await.unwrap().unwrap();
}

/// Events that fail together do not keep each other from being tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_failing_events_all_climb_and_others_flow() {
    let stage = Stage::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let script = Script::new({
        let gate = Arc::clone(&gate);
        move |delivery| {
            let gate = Arc::clone(&gate);
            async move {
                if delivery.envelope.subject == "payment/good" {
                    gate.add_permits(1);
                    return Ok(());
                }
                Err(retry("bad"))
            }
        }
    });
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    let channel = stage.channel().await;
    for sequence in 0..100 {
        crate::support::post_on(&channel, &format!("payment/{sequence}"), 2 * sequence + 1).await;
        crate::support::post_on(&channel, "payment/good", 2 * sequence + 2).await;
    }
    let _all_good = tokio::time::timeout(SOON, gate.acquire_many(100))
        .await
        .unwrap()
        .unwrap();
    stage.wait_depth(DEAD, 100).await;
    consuming.stop().await;
    assert_eq!(
        script.calls().len(),
        500,
        "four attempts for each bad one, one for each good one"
    );
}
