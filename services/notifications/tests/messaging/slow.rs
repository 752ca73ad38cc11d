//! A slow mail server slows mails, nothing else.

use std::time::{Duration, Instant};

use banyan_dev_sinks::mail::Fault;
use banyan_events::{EffectOwner, payloads::*};
use banyan_test_support::wait_until;

use crate::support::{World, envelope, owned, payment};

const OTHERS: i64 = 100;
/// A busy machine's disk makes each failed event wait for its retry queue.
const LONG: Duration = Duration::from_mins(2);

async fn others_handled(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM notification_log WHERE status = 'skipped_legacy'")
        .fetch_one(&world.db.pool)
        .await
        .expect("notification_log")
}

/// Publishes a hundred events that send nothing, each after a mail when `with_mails`; how long until they were handled.
async fn others(world: &World, first_id: i64, with_mails: bool) -> Duration {
    let began = Instant::now();
    let wanted = others_handled(world).await + OTHERS;
    let mut events = Vec::new();
    for id in first_id..first_id + OTHERS {
        events.extend(with_mails.then(|| payment(1_000_000 + id, 42)));
        events.push(owned(payment(id, 42), EffectOwner::Legacy));
    }
    world.publish_all(&events).await;
    wait_until(
        "the other events",
        LONG,
        async || others_handled(world).await,
        |count| *count == wanted,
    )
    .await;
    began.elapsed()
}

#[tokio::test]
async fn other_events_flow_while_mails_take_three_seconds() {
    // The mails that cannot be sent now climb a ladder that outlasts the test.
    let world = World::start_with(&[], |consumer| consumer.retry_delays_ms = vec![60_000]).await;
    world.sign_up(42, "en").await;
    let quick = others(&world, 1, true).await;
    let sent = world.sink.count();
    world.sink.set_fault(Fault::Delay(Duration::from_secs(3)));
    let slow = others(&world, 10_001, true).await;
    assert!(world.sink.count() - sent < 60, "the mail server was slow");
    // In the quick run a hundred mails were sent beside them, so the slow run has less to do. What remains is the one
    // moment in which the server turns out to be slow: `patience_ms`.
    let patience = Duration::from_millis(world.config.email.gate.patience_ms);
    assert!(
        slow < quick * 2 + patience * 2,
        "{slow:?} beside slow mails, {quick:?} beside quick ones"
    );
}

/// Publishes a hundred mails and a profile update behind them; how long until the update was handled.
async fn update_behind_mails(world: &World, first_id: i64) -> Duration {
    let mails: Vec<_> = (first_id..first_id + 100).map(|id| payment(id, 42)).collect();
    world.publish_all(&mails).await;
    let update = UserProfileUpdated {
        user_id: first_id,
        email: Some("late@example.com".into()),
        display_name: None,
        locale: None,
        preferred_channel: None,
    };
    let event = envelope(&format!("user/{first_id}"), 1, update);
    let began = Instant::now();
    world.publish(&event).await;
    world.handled(event.id).await;
    began.elapsed()
}

#[tokio::test]
async fn profile_updates_do_not_wait_for_a_dead_mail_server() {
    let world = World::start_with(&[("email.smtp.send_timeout_ms", "20000")], |consumer| {
        consumer.retry_delays_ms = vec![60_000];
    })
    .await;
    world.sign_up(42, "en").await;
    // All of these mails go to the ladder too, but the server says so at once.
    world.sink.set_fault(Fault::Reject4xx);
    let quick = update_behind_mails(&world, 1000).await;
    // Takes connections and says nothing, the slowest way to be dead: in twenty slots a hundred mails would hold everything
    // up for a hundred seconds.
    world.sink.set_fault(Fault::Delay(Duration::from_mins(1)));
    let dead = update_behind_mails(&world, 2000).await;
    let patience = Duration::from_millis(world.config.email.gate.patience_ms);
    assert!(
        dead < quick * 3 + patience * 4,
        "{dead:?} behind a dead server, {quick:?} behind one that refuses"
    );
}
