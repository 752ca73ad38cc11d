//! What an operator does with dead events, while consumers run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use banyan_messaging::{
    BrokerConfig, HandlerError,
    dead::{DeadError, DeadQueue, Filter},
    header,
};
use banyan_test_support::TcpProxy;
use lapin::BasicProperties;
use uuid::Uuid;

use crate::support::{Consuming, Script, Stage, consume, quick};

const DEAD: &str = "test.events.dead";

/// A service that fails every event for good, until it is mended.
struct Broken {
    mended: Arc<AtomicBool>,
    script: Script,
    consuming: Consuming,
}

impl Broken {
    async fn start(stage: &Stage) -> Self {
        let mended = Arc::new(AtomicBool::new(false));
        let script = Script::new({
            let mended = Arc::clone(&mended);
            move |delivery| {
                let mended = mended.load(Ordering::SeqCst);
                async move {
                    if mended {
                        return Ok(());
                    }
                    Err(HandlerError::Permanent(format!(
                        "no template for {}",
                        delivery.envelope.subject
                    )))
                }
            }
        });
        let consuming = consume(stage.broker(), quick(), script.clone()).await;
        Self {
            mended,
            script,
            consuming,
        }
    }

    fn mend(&self) {
        self.mended.store(true, Ordering::SeqCst);
    }
}

/// Dead events in a known order.
async fn make_dead(stage: &Stage, count: u32) -> Vec<Uuid> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(
            stage
                .post(&format!("payment/{number}"), i64::from(number) + 1)
                .await,
        );
        stage.wait_depth(DEAD, number + 1).await;
    }
    ids
}

fn ids(events: &[banyan_messaging::dead::DeadEvent]) -> Vec<String> {
    events.iter().map(|event| event.id.clone()).collect()
}

fn texts(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn dead_events_are_listed_and_shown_with_their_history() {
    let stage = Stage::new().await;
    let broken = Broken::start(&stage).await;
    let dead = make_dead(&stage, 3).await;
    let queue = DeadQueue::open(&stage.broker(), "test").await.unwrap();
    let listed = queue.list(&Filter::default());
    assert_eq!(ids(&listed), texts(&dead));
    let one = &listed[1];
    assert_eq!(one.kind.as_deref(), Some("payment.completed"));
    assert_eq!(one.reason.as_deref(), Some("no template for payment/1"));
    assert_eq!((one.attempts, one.replays), (1, 0));
    assert!(one.first_failed_at.unwrap() <= one.dead_at.unwrap());
    let body: serde_json::Value = serde_json::from_slice(&one.body).unwrap();
    assert_eq!(body["id"], one.id);
    assert!(
        !serde_json::to_string(one).unwrap().contains("currency"),
        "a list holds no payload"
    );

    let list = |filter: Filter| ids(&queue.list(&filter));
    assert_eq!(list(Filter::id(dead[2].to_string())), texts(&dead[2..]));
    let by_reason = |text: &str| Filter {
        reason: Some(text.into()),
        ..Filter::default()
    };
    assert_eq!(list(by_reason("payment/0")), texts(&dead[..1]));
    assert_eq!(list(by_reason("elsewhere")), Vec::<String>::new());
    let by_kind = |kind: &str| Filter {
        kind: Some(kind.into()),
        ..Filter::default()
    };
    assert_eq!(list(by_kind("payment.completed")).len(), 3);
    assert_eq!(list(by_kind("payment")).len(), 0, "the whole name");
    let limit = Filter {
        limit: Some(2),
        ..Filter::default()
    };
    assert_eq!(list(limit), texts(&dead[..2]));
    let old = Filter {
        older_than: Some(Duration::from_hours(1)),
        ..Filter::default()
    };
    assert_eq!(list(old).len(), 0);
    let all_parts = Filter {
        ids: texts(&dead),
        kind: Some("payment.completed".into()),
        reason: Some("payment/2".into()),
        older_than: Some(Duration::ZERO),
        limit: Some(1),
    };
    assert_eq!(list(all_parts), texts(&dead[2..]));
    queue.close().await;
    stage.wait_depth(DEAD, 3).await;
    broken.consuming.stop().await;
}

#[tokio::test]
async fn a_replayed_event_is_new_again_and_the_others_keep_their_order() {
    let stage = Stage::new().await;
    let broken = Broken::start(&stage).await;
    // More than a few, so that an order by chance is unlikely.
    let dead = make_dead(&stage, 12).await;
    broken.mend();

    let mut queue = DeadQueue::open(&stage.broker(), "test").await.unwrap();
    let chosen = Filter {
        ids: texts(&[dead[3], dead[7]]),
        ..Filter::default()
    };
    let replayed = queue.replay(&chosen).await.unwrap();
    assert_eq!(ids(&replayed), texts(&[dead[3], dead[7]]));
    assert_eq!(
        queue.list(&chosen).len(),
        0,
        "what was replayed is not there any more"
    );
    assert_eq!(queue.list(&Filter::default()).len(), 10);
    let calls = broken.script.called(14).await;
    for (call, id) in calls[12..].iter().zip([dead[3], dead[7]]) {
        assert_eq!((call.envelope.id, call.attempt), (id, 1), "counted anew");
    }
    queue.close().await;
    stage.wait_depth(DEAD, 10).await;

    let mut left = dead.clone();
    left.retain(|id| ![dead[3], dead[7]].contains(id));
    let queue = DeadQueue::open(&stage.broker(), "test").await.unwrap();
    assert_eq!(ids(&queue.list(&Filter::default())), texts(&left));
    queue.close().await;
    broken.consuming.stop().await;
}

/// The command is killed, or loses its connection: all is as it was.
#[tokio::test]
async fn a_command_that_dies_changes_nothing_and_no_order() {
    let stage = Stage::new().await;
    let broken = Broken::start(&stage).await;
    let dead = make_dead(&stage, 12).await;
    let queue = DeadQueue::open(&stage.broker(), "test").await.unwrap();
    assert_eq!(
        stage.vhost.depth(DEAD).await,
        Some(0),
        "they are taken while it is open"
    );
    drop(queue);
    stage.wait_depth(DEAD, 12).await;
    let queue = DeadQueue::open(&stage.broker(), "test").await.unwrap();
    assert_eq!(ids(&queue.list(&Filter::default())), texts(&dead));
    queue.close().await;
    broken.consuming.stop().await;
}

/// Replayed too early it dies again, and tells how often it was tried.
#[tokio::test]
async fn an_event_that_dies_again_counts_its_replays() {
    let stage = Stage::new().await;
    let broken = Broken::start(&stage).await;
    let dead = make_dead(&stage, 1).await;
    for replays in 1..=2 {
        let mut queue = DeadQueue::open(&stage.broker(), "test").await.unwrap();
        queue.replay(&Filter::default()).await.unwrap();
        queue.close().await;
        stage.wait_depth(DEAD, 1).await;
        let queue = DeadQueue::open(&stage.broker(), "test").await.unwrap();
        let listed = queue.list(&Filter::default());
        assert_eq!(ids(&listed), texts(&dead));
        assert_eq!((listed[0].replays, listed[0].attempts), (replays, 1));
        queue.close().await;
    }
    broken.consuming.stop().await;
    let message = stage.vhost.take(DEAD).await.remove(0);
    assert_eq!(message.headers[header::REPLAYS], "2");
    assert!(
        !message.headers.keys().any(|name| name.starts_with("x-death")),
        "{:?}",
        message.headers
    );
}

#[tokio::test]
async fn a_discard_needs_a_reason_and_takes_only_what_was_chosen() {
    let stage = Stage::new().await;
    let broken = Broken::start(&stage).await;
    let dead = make_dead(&stage, 3).await;
    let mut queue = DeadQueue::open(&stage.broker(), "test").await.unwrap();
    let chosen = Filter::id(dead[0].to_string());
    for reason in ["", " \n"] {
        let refused = queue.discard(&chosen, reason).await.unwrap_err();
        assert!(matches!(refused, DeadError::NoReason));
    }
    let discarded = queue.discard(&chosen, "a test account").await.unwrap();
    assert_eq!(ids(&discarded), texts(&dead[..1]));
    assert!(
        queue.discard(&chosen, "a test account").await.unwrap().is_empty(),
        "it is gone"
    );
    queue.close().await;
    stage.wait_depth(DEAD, 2).await;
    broken.consuming.stop().await;
    assert_eq!(broken.script.calls().len(), 3, "no handler saw it again");
}

/// The broker has the event back while the operator still looks at it.
#[tokio::test]
async fn a_discard_that_the_broker_does_not_hear_of_is_an_error() {
    let stage = Stage::new().await;
    let broken = Broken::start(&stage).await;
    make_dead(&stage, 1).await;
    let proxy = TcpProxy::start(stage.vhost.address()).await;
    let through = BrokerConfig::new(stage.vhost.url_via(proxy.address()), "test");
    let mut queue = DeadQueue::open(&through, "test").await.unwrap();
    stage.wait_depth(DEAD, 0).await;
    proxy.cut();
    stage.wait_depth(DEAD, 1).await;
    let discarded = queue.discard(&Filter::default(), "a test account").await;
    assert!(matches!(discarded, Err(DeadError::Broker(_))), "{discarded:?}");
    broken.consuming.stop().await;
}

/// Poison has no id of its own; the one it got when it died is good enough to choose it by.
#[tokio::test]
async fn an_event_without_an_id_can_be_chosen() {
    let stage = Stage::new().await;
    let broken = Broken::start(&stage).await;
    let none = BasicProperties::default();
    stage.post_raw("payment.completed", b"first", none.clone()).await;
    stage.wait_depth(DEAD, 1).await;
    stage.post_raw("payment.completed", b"second", none).await;
    stage.wait_depth(DEAD, 2).await;
    let mut queue = DeadQueue::open(&stage.broker(), "test").await.unwrap();
    let listed = queue.list(&Filter::default());
    assert_ne!(listed[0].id, listed[1].id);
    let second = queue
        .discard(&Filter::id(&listed[1].id), "it was never an event")
        .await
        .unwrap();
    assert_eq!(second[0].body, b"second");
    queue.close().await;
    stage.wait_depth(DEAD, 1).await;
    broken.consuming.stop().await;
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named() {
    let stage = Stage::new().await;
    let message = DeadQueue::open(&stage.broker(), "notificatoins")
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        message.contains("notificatoins.events.dead does not exist"),
        "{message}"
    );
    let absent = BrokerConfig::new("amqp://guest:s3cret@127.0.0.1:1/banyan", "test");
    let message = DeadQueue::open(&absent, "test").await.err().unwrap().to_string();
    assert!(
        message.contains("127.0.0.1:1") && !message.contains("s3cret"),
        "{message}"
    );
}

/// The main queue is gone: the event stays dead, and the error says so.
#[tokio::test]
async fn a_replay_that_is_not_taken_leaves_the_event_dead() {
    let stage = Stage::new().await;
    let broken = Broken::start(&stage).await;
    let dead = make_dead(&stage, 2).await;
    broken.consuming.stop().await;
    stage
        .channel()
        .await
        .queue_delete(
            "test.events".into(),
            lapin::options::QueueDeleteOptions::default(),
        )
        .await
        .unwrap();
    let mut queue = DeadQueue::open(&stage.broker(), "test").await.unwrap();
    let error = queue.replay(&Filter::default()).await.unwrap_err();
    let message = error.to_string();
    assert!(message.contains(&dead[0].to_string()), "{message}");
    queue.close().await;
    stage.wait_depth(DEAD, 2).await;
}
