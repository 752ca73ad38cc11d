//! Events that the monolith commits while the relay, the consumer, RabbitMQ and PostgreSQL are each killed and restarted in turn:
//! every event is handled once in effect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::ensure;
use banyan_test_support::dose::{count, dose};
use end_to_end::publisher::{Load, Publisher};
use end_to_end::road::{Part, Road};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use uuid::Uuid;

/// Events that a killed consumer can have had in hand: the default prefetch.
const IN_HAND: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_handled_once_in_effect_whatever_is_killed() -> anyhow::Result<()> {
    let events = count(1_200, 10_000);
    let rounds = dose(1, 5);
    let load = Load {
        users: 100,
        events,
        rate: 150,
    };
    let mut road = Road::start().await?;
    let mut publisher = Publisher::start(load, road.monolith_environment())?;

    let kills: Vec<Part> = std::iter::repeat_n(Part::ALL, rounds).flatten().collect();
    // Sign-ups first; then the kills, spread evenly over what is left.
    let step = (events - load.users) / (kills.len() + 1);
    for (index, part) in kills.iter().enumerate() {
        publisher.committed(load.users + step * (index + 1)).await?;
        road.kill_and_restart(*part).await?;
    }
    let committed = publisher.finish().await?;
    ensure!(
        committed == events,
        "{committed} of {events} events were committed"
    );

    let outcome = settle(&road, Duration::from_mins(4)).await?;
    println!(
        "{events} events, {} kills: {} in the outbox, {} audit rows, {} mails, {} of them a second time",
        kills.len(),
        outcome.published.len(),
        outcome.handled.len(),
        outcome.mails,
        outcome.mails - outcome.message_ids.len(),
    );
    outcome.holds(committed, &kills)
}

/// What the three witnesses say: the outbox, the audit log and the mail server.
struct Outcome {
    published: BTreeSet<Uuid>,
    handled: Vec<(Uuid, String)>,
    message_ids: BTreeSet<String>,
    order: BTreeMap<String, Vec<Uuid>>,
    mails: usize,
    stuck: Vec<String>,
}

impl Outcome {
    fn holds(&self, committed: usize, kills: &[Part]) -> anyhow::Result<()> {
        // A commit whose answer was lost with the database is tried again by the publisher: at most one a kill.
        let databases = kills.iter().filter(|part| **part == Part::Postgres).count();
        ensure!(
            (committed..=committed + databases).contains(&self.published.len()),
            "{committed} committed, {} in the outbox",
            self.published.len()
        );
        let handled: BTreeSet<Uuid> = self.handled.iter().map(|(id, _)| *id).collect();
        ensure!(handled.len() == self.handled.len(), "an event has two audit rows");
        ensure!(handled == self.published, "audit rows and events differ");
        ensure!(
            self.handled.iter().all(|(_, status)| status == "delivered"),
            "an event was not delivered"
        );
        ensure!(
            self.message_ids.len() == self.published.len(),
            "{} events, {} distinct Message-IDs",
            self.published.len(),
            self.message_ids.len()
        );
        let between = kills
            .iter()
            .filter(|part| matches!(part, Part::Notifications | Part::Postgres))
            .count()
            * IN_HAND;
        let again = self.mails - self.message_ids.len();
        ensure!(
            again <= between,
            "{again} mails came twice, at most {between} can have been in hand"
        );
        let position: BTreeMap<Uuid, usize> = self
            .handled
            .iter()
            .enumerate()
            .map(|(position, (id, _))| (*id, position))
            .collect();
        for (subject, ids) in &self.order {
            ensure!(
                ids.is_sorted_by_key(|id| position[id]),
                "the events of {subject} were handled out of order"
            );
        }
        ensure!(self.stuck.is_empty(), "messages left in {:?}", self.stuck);
        Ok(())
    }
}

/// Waits until the outbox is drained and every event has its audit row, then asks the witnesses.
async fn settle(road: &Road, limit: Duration) -> anyhow::Result<Outcome> {
    let done = async {
        loop {
            let waiting: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE published_at IS NULL")
                .fetch_one(&road.legacy)
                .await
                .unwrap_or(i64::MAX);
            let events: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox")
                .fetch_one(&road.legacy)
                .await
                .unwrap_or(i64::MAX);
            let handled: i64 = sqlx::query_scalar("SELECT count(*) FROM inbox")
                .fetch_one(&road.notifications)
                .await
                .unwrap_or_default();
            if waiting == 0 && handled >= events {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let timed_out = tokio::time::timeout(limit, done).await.is_err();
    let outbox: Vec<(Uuid, String)> = sqlx::query_as("SELECT id, subject FROM outbox ORDER BY sequence")
        .fetch_all(&road.legacy)
        .await?;
    let handled = sqlx::query_as("SELECT event_id, status FROM notification_log ORDER BY id")
        .fetch_all(&road.notifications)
        .await?;
    let mut order: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    for (id, subject) in &outbox {
        order.entry(subject.clone()).or_default().push(*id);
    }
    let mails = road.mail.messages();
    let outcome = Outcome {
        published: outbox.into_iter().map(|(id, _)| id).collect(),
        handled,
        message_ids: mails.iter().filter_map(|mail| mail.message_id.clone()).collect(),
        order,
        mails: mails.len(),
        stuck: queues_with_messages(road).await?,
    };
    ensure!(
        !timed_out,
        "not settled after {limit:?}: {} events, {} audit rows, messages in {:?}\n{}",
        outcome.published.len(),
        outcome.handled.len(),
        outcome.stuck,
        road.logs()
    );
    Ok(outcome)
}

/// The queues of our service that still hold messages.
async fn queues_with_messages(road: &Road) -> anyhow::Result<Vec<String>> {
    let connection = Connection::connect(&road.amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let rungs = ["5s", "30s", "5m", "30m"].map(|rung| format!("notifications.events.retry.{rung}"));
    let mut stuck = Vec::new();
    for name in ["notifications.events", "notifications.events.dead"]
        .map(str::to_owned)
        .into_iter()
        .chain(rungs)
    {
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = channel
            .queue_declare(name.as_str().into(), passive, FieldTable::default())
            .await?;
        if queue.message_count() > 0 {
            stuck.push(format!("{name}: {}", queue.message_count()));
        }
    }
    Ok(stuck)
}
