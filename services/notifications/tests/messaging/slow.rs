//! A slow mail server slows mails, nothing else.

use std::time::{Duration, Instant};

use banyan_dev_sinks::mail::Fault;
use banyan_events::{EffectOwner, payloads::*};
use banyan_test_support::wait_until;

use crate::support::{BOUND, World, envelope, owned, payment};

const OTHERS: i64 = 300;

async fn others_handled(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM notification_log WHERE status = 'skipped_legacy'")
        .fetch_one(&world.db.pool)
        .await
        .expect("notification_log")
}

/// Publishes three hundred events that send nothing, each after a mail when `with_mails`; how long until they were handled.
async fn others(world: &World, first_id: i64, with_mails: bool) -> Duration {
    let began = Instant::now();
    let wanted = others_handled(world).await + OTHERS;
    for id in first_id..first_id + OTHERS {
        if with_mails {
            world.publish(&payment(1_000_000 + id, 42)).await;
        }
        world.publish(&owned(payment(id, 42), EffectOwner::Legacy)).await;
    }
    wait_until(
        "the other events",
        BOUND,
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
    // In the quick run three hundred mails were sent beside them, so the slow run has less to do. What remains is the one
    // moment in which the server turns out to be slow: `patience_ms`.
    let patience = Duration::from_millis(world.config.email.gate.patience_ms);
    assert!(
        slow < quick * 2 + patience * 2,
        "{slow:?} beside slow mails, {quick:?} beside quick ones"
    );
}

#[tokio::test]
async fn profile_updates_do_not_wait_for_a_dead_mail_server() {
    let world = World::start_with(
        &[
            ("email.smtp.connect_timeout_ms", "3000"),
            ("email.smtp.send_timeout_ms", "3000"),
        ],
        |consumer| consumer.retry_delays_ms = vec![60_000],
    )
    .await;
    world.sign_up(42, "en").await;
    // Takes connections and says nothing: the slowest way to be dead.
    world.sink.set_fault(Fault::Delay(Duration::from_mins(1)));
    for id in 1..100 {
        world.publish(&payment(id, 42)).await;
    }
    let update = UserProfileUpdated {
        user_id: 43,
        email: Some("late@example.com".into()),
        display_name: None,
        locale: None,
        preferred_channel: None,
    };
    let event = envelope("user/43", 1, update);
    let began = Instant::now();
    world.publish(&event).await;
    world.handled(event.id).await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "took {:?}",
        began.elapsed()
    );
}
