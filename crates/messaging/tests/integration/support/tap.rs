//! Sees what was published, in the order in which a queue has it.

use std::collections::{BTreeMap, HashSet};

use futures::StreamExt;
use lapin::{
    BasicProperties, Channel,
    options::{BasicAckOptions, BasicConsumeOptions},
    types::FieldTable,
};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use super::SOON;

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) id: Uuid,
    pub(crate) subject: String,
    pub(crate) sequence: i64,
    pub(crate) body: Value,
    pub(crate) routing_key: String,
    pub(crate) properties: BasicProperties,
}

/// A consumer that only takes notes.
pub(crate) struct Tap {
    seen: watch::Receiver<Vec<Seen>>,
}

impl Tap {
    pub(crate) async fn on(channel: &Channel, queue: &str) -> Self {
        let mut deliveries = channel
            .basic_consume(
                queue.into(),
                "tap".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        let (sender, seen) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = deliveries.next().await {
                delivery.ack(BasicAckOptions::default()).await.unwrap();
                let body: Value = serde_json::from_slice(&delivery.data).unwrap();
                sender.send_modify(|seen| {
                    seen.push(Seen {
                        id: body["id"].as_str().unwrap().parse().unwrap(),
                        subject: body["subject"].as_str().unwrap().into(),
                        sequence: body["sequence"].as_str().unwrap().parse().unwrap(),
                        routing_key: delivery.routing_key.to_string(),
                        properties: delivery.properties.clone(),
                        body,
                    });
                });
            }
        });
        Self { seen }
    }

    /// What came so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits for `count` messages in all, copies among them.
    pub(crate) async fn messages(&mut self, count: usize) -> Vec<Seen> {
        self.until(&format!("{count} messages"), |seen| seen.len() >= count)
            .await
    }

    /// Waits for `count` different events.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<Seen> {
        let distinct = |seen: &[Seen]| seen.iter().map(|it| it.id).collect::<HashSet<_>>().len();
        // Counting anew for every message would be quadratic.
        let mut at_least = count;
        loop {
            let seen = self.messages(at_least).await;
            match count.saturating_sub(distinct(&seen)) {
                0 => return seen,
                missing => at_least = seen.len() + missing,
            }
        }
    }

    async fn until(&mut self, what: &str, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let mut seen = self.seen.clone();
        let waited = tokio::time::timeout(SOON, seen.wait_for(|seen| enough(seen))).await;
        let Ok(seen) = waited else {
            panic!("waited for {what}, and saw {}", self.seen.borrow().len());
        };
        seen.expect("the tap lives").clone()
    }
}

/// Each event's first appearance comes in the order of its subject.
fn assert_in_order(seen: &[Seen]) {
    let mut known = HashSet::new();
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for one in seen.iter().filter(|one| known.insert(one.id)) {
        let before = last.insert(&one.subject, one.sequence).unwrap_or(0);
        assert!(
            before < one.sequence,
            "{}: {} came after {before}",
            one.subject,
            one.sequence
        );
    }
}

/// Exactly the events that were written came, and in order.
pub(crate) fn assert_complete(seen: &[Seen], written: &[(Uuid, String, i64)]) {
    assert_in_order(seen);
    let came: HashSet<Uuid> = seen.iter().map(|one| one.id).collect();
    let expected: HashSet<Uuid> = written.iter().map(|(id, ..)| *id).collect();
    assert_eq!(came, expected);
}
