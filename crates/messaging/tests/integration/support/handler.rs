//! Handlers that do what a test says, and consumers around them.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
};

use banyan_events::{Envelope, EventData, EventKind, payloads::PaymentCompleted};
use banyan_messaging::{
    BrokerConfig, Consumer, ConsumerConfig, ConsumerError, Delivery, Handler, HandlerError, topology,
};
use lapin::{BasicProperties, Channel, Confirmation, options::BasicPublishOptions};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use time::OffsetDateTime;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{SOON, Stage};

type Answer = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// A handler that takes note of each delivery, then does what the test says.
#[derive(Clone)]
pub(crate) struct Script {
    calls: watch::Sender<Vec<Delivery>>,
    act: Arc<dyn Fn(Delivery) -> Answer + Send + Sync>,
}

impl Script {
    pub(crate) fn new<F, A>(act: F) -> Self
    where
        F: Fn(Delivery) -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        Self {
            calls: watch::Sender::new(Vec::new()),
            act: Arc::new(move |delivery| Box::pin(act(delivery))),
        }
    }

    /// A handler that is content with everything.
    pub(crate) fn content() -> Self {
        Self::new(|_| async { Ok(()) })
    }

    /// The calls so far, in order.
    pub(crate) fn calls(&self) -> Vec<Delivery> {
        self.calls.borrow().clone()
    }

    /// Waits for `count` calls.
    pub(crate) async fn called(&self, count: usize) -> Vec<Delivery> {
        let mut calls = self.calls.subscribe();
        let waited = tokio::time::timeout(SOON, calls.wait_for(|calls| calls.len() >= count)).await;
        let Ok(calls) = waited else {
            panic!(
                "waited for {count} calls, and there were {}",
                self.calls.borrow().len()
            );
        };
        calls.expect("the handler lives").clone()
    }
}

impl Handler for Script {
    async fn handle(&self, delivery: &Delivery) -> Result<(), HandlerError> {
        self.calls.send_modify(|calls| calls.push(delivery.clone()));
        (self.act)(delivery.clone()).await
    }
}

/// A consumer at work.
pub(crate) struct Consuming {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), ConsumerError>>,
}

impl Consuming {
    /// Orders the shutdown without waiting for it.
    pub(crate) fn order_stop(&self) {
        self.shutdown.cancel();
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(SOON, self.task)
            .await
            .expect("the consumer stops")
            .unwrap()
            .unwrap();
    }
}

/// The configuration of the tests: a short ladder.
pub(crate) fn quick() -> ConsumerConfig {
    ConsumerConfig {
        prefetch: 20,
        retry_delays_ms: vec![50, 100, 150],
        depth_interval_ms: 100,
    }
}

/// Every kind that the tests publish.
pub(crate) const KINDS: [EventKind; 2] = [EventKind::PaymentCompleted, EventKind::UserSignup];

/// Starts a consumer for the service `test` with its queues declared.
pub(crate) async fn consume(
    broker: BrokerConfig,
    config: ConsumerConfig,
    handler: impl Handler,
) -> Consuming {
    let consumer = Consumer::new("test", &KINDS, broker, config, handler);
    consumer.declare().await.unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(consumer.run(shutdown.clone()));
    Consuming { shutdown, task }
}

impl Stage {
    /// Declares the queues of the service `test` without consuming.
    pub(crate) async fn declare(&self) {
        let consumer = Consumer::new("test", &KINDS, self.broker(), quick(), Script::content());
        consumer.declare().await.unwrap();
    }

    /// Publishes a sample event; returns its id.
    pub(crate) async fn post(&self, subject: &str, sequence: i64) -> Uuid {
        let channel = self.channel().await;
        let id = post_on(&channel, subject, sequence).await;
        channel.close(200, "done".into()).await.unwrap();
        id
    }

    /// Publishes any body to the service's queue as if it came from the exchange.
    pub(crate) async fn post_raw(&self, key: &str, body: &[u8], properties: BasicProperties) {
        publish(&self.channel().await, key, body, properties).await;
    }

    /// Waits until nothing is in the service's main queue, nor on its ladder.
    pub(crate) async fn wait_depth(&self, queue: &str, count: u32) {
        self.vhost.wait_depth(queue, count, SOON).await;
    }
}

/// Publishes a sample event on a channel of the caller's.
pub(crate) async fn post_on(channel: &Channel, subject: &str, sequence: i64) -> Uuid {
    let kind = EventKind::PaymentCompleted;
    let id = Uuid::now_v7();
    let envelope = Envelope::new(
        id,
        "/monolith",
        subject,
        OffsetDateTime::now_utc(),
        sequence,
        PaymentCompleted::sample(),
    );
    let properties = BasicProperties::default()
        .with_message_id(id.to_string().into())
        .with_type(kind.name().into())
        .with_delivery_mode(2);
    publish(
        channel,
        kind.name(),
        &serde_json::to_vec(&envelope).unwrap(),
        properties,
    )
    .await;
    id
}

async fn publish(channel: &Channel, key: &str, body: &[u8], properties: BasicProperties) {
    let confirm = channel
        .basic_publish(
            topology::DOMAIN_EVENTS.into(),
            key.into(),
            BasicPublishOptions::default(),
            body,
            properties,
        )
        .await
        .unwrap()
        .await
        .unwrap();
    assert!(matches!(confirm, Confirmation::Ack(None)), "{confirm:?}");
}

/// The metrics of this process as Prometheus reads them. Recorded from the first call on.
pub(crate) fn metrics_text() -> String {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap())
        .render()
}
