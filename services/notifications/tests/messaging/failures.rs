//! What fails: it fails alone, climbs the ladder, ends in dead with its reason, and a replay delivers it after the mend.

use banyan_dev_sinks::mail::Fault;
use banyan_events::{EventData, payloads::*};
use banyan_messaging::{
    BrokerConfig,
    dead::{DeadQueue, Filter},
    header,
};
use notifications::{templates::RELEASED, use_cases::install_templates};

use crate::support::{BOUND, DEAD, World, address, envelope, payment, signup};

/// The reason of the only dead event.
async fn dead_reason(world: &World) -> String {
    world.vhost.wait_depth(DEAD, 1, BOUND).await;
    let mut dead = world.vhost.take(DEAD).await;
    dead.remove(0).headers.remove(header::REASON).expect("a reason")
}

#[tokio::test]
async fn a_broken_template_stops_its_own_event_only_and_a_replay_delivers_it() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    sqlx::query("UPDATE template SET body_text = 'Paid: {{ payment.amonut }}' WHERE name = 'payment-completed' AND active")
        .execute(&world.db.pool)
        .await
        .expect("a template spoilt behind the service's back");
    let event = payment(7, 42);
    world.publish(&event).await;
    let other = envelope(
        "payment/8",
        1,
        PaymentFailed {
            user_id: 42,
            ..PaymentFailed::sample()
        },
    );
    world.mail_of(&other).await;

    world.vhost.wait_depth(DEAD, 1, BOUND).await;
    let row = world.row(event.id, "failed").await;
    assert_eq!(row.attempts, 3, "one and the two of the ladder");
    let error = row.error.expect("an error");
    assert!(
        error.contains("template payment-completed (en), body.txt line 1"),
        "{error}"
    );
    let (kind, told) = world.outbox().await.pop().expect("an outbox row");
    assert_eq!(
        (kind.as_str(), &told["attempts"]),
        ("notification.failed", &3.into())
    );

    let released = RELEASED
        .iter()
        .find(|it| it.name == "payment-completed" && it.locale == "en")
        .expect("released");
    install_templates::change(&world.db.pool, &released.source())
        .await
        .expect("mended");
    let broker = BrokerConfig::new(world.vhost.amqp_url.clone(), "test");
    replay(&broker).await;
    world.wait_mail(event.id).await;
    let row = world.row(event.id, "delivered").await;
    assert_eq!(
        (row.attempts, row.template_version, row.error),
        (4, Some(2), None)
    );
    assert_eq!(world.mails_of(event.id), 1);
}

async fn replay(broker: &BrokerConfig) {
    let mut dead = DeadQueue::open(broker, "notifications")
        .await
        .expect("the dead queue");
    let replayed = dead.replay(&Filter::default()).await.expect("replayed");
    assert_eq!(replayed.len(), 1);
    dead.close().await;
}

#[tokio::test]
async fn a_4xx_is_tried_again() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    for fault in [Fault::Reject4xx, Fault::RejectData4xx, Fault::Close] {
        world.sink.set_fault(fault);
        let event = payment(7, 42);
        world.publish(&event).await;
        let row = world.row(event.id, "queued").await;
        assert!(row.error.is_some(), "{fault:?}");
        assert!(row.payload.is_some(), "a job may have to send it");
        world.sink.set_fault(Fault::None);
        world.wait_mail(event.id).await;
        let row = world.row(event.id, "delivered").await;
        assert!(row.attempts >= 2, "{fault:?}: {}", row.attempts);
        assert!(row.error.is_none() && row.payload.is_none());
    }
    assert_eq!(world.vhost.depth(DEAD).await, Some(0));
}

#[tokio::test]
async fn a_5xx_is_final_and_leaves_no_address_in_the_log() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    world.sink.set_fault_for(&address(42), Fault::Reject5xx);
    let event = payment(7, 42);
    world.publish(&event).await;
    let reason = dead_reason(&world).await;
    let row = world.row(event.id, "failed").await;
    assert_eq!(row.attempts, 1, "not tried again");
    assert!(!reason.contains('@') && !row.error.expect("an error").contains('@'));
    let (kind, told) = world.outbox().await.pop().expect("an outbox row");
    assert_eq!(
        (kind.as_str(), &told["notificationId"]),
        ("notification.failed", &row.id.into())
    );
}

#[tokio::test]
async fn a_dead_mail_server_ends_in_dead_and_a_replay_delivers() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    world.sink.stop_listening().await;
    let event = payment(7, 42);
    world.publish(&event).await;
    world.vhost.wait_depth(DEAD, 1, BOUND).await;
    world.row(event.id, "failed").await;
    world.sink.resume().await.expect("resumed");
    let broker = BrokerConfig::new(world.vhost.amqp_url.clone(), "test");
    replay(&broker).await;
    world.wait_mail(event.id).await;
    world.row(event.id, "delivered").await;
}

#[tokio::test]
async fn what_cannot_be_read_is_dead_at_once_with_its_reason() {
    let world = World::start().await;
    for (kind, body, reason) in [
        ("payment.completed", "this is not JSON".to_owned(), "CloudEvent"),
        (
            "payment.completed",
            mutated(|json| json["data"]["amountMinor"] = "ten".into()),
            "amountMinor",
        ),
        (
            "payment.completed",
            mutated(|json| json["dataschema"] = "urn:banyan:events:payment.completed:9".into()),
            "dataschema",
        ),
    ] {
        world.publish_raw(kind, "poison", body.as_bytes()).await;
        let found = dead_reason(&world).await;
        assert!(found.contains(reason), "{found}");
    }
    world.sign_up(42, "en").await;
}

fn mutated(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut json = serde_json::to_value(payment(7, 42)).expect("JSON");
    change(&mut json);
    json.to_string()
}

#[tokio::test]
async fn a_payment_before_its_sign_up_waits_for_it() {
    let world = World::start().await;
    let event = payment(7, 42);
    world.publish(&event).await;
    let row = world.row(event.id, "queued").await;
    assert_eq!(row.error.as_deref(), Some("no address is known of the user yet"));
    world.publish(&envelope("user/42", 1, signup(42, "en"))).await;
    world.wait_mail(event.id).await;
    world.row(event.id, "delivered").await;
}

#[tokio::test]
async fn an_address_that_is_none_is_final() {
    let world = World::start().await;
    let mut data = signup(42, "en");
    data.email = "not an address\r\nRCPT TO:<eve@example.com>".into();
    let event = envelope("user/42", 1, data);
    world.publish(&event).await;
    let row = world.row(event.id, "failed").await;
    assert_eq!(row.error.as_deref(), Some("the user's e-mail address is not one"));
    assert_eq!(world.sink.count(), 0);
}
