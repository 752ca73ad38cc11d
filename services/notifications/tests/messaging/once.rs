//! One send per event, whatever is redelivered, and by one side only.

use banyan_events::{EffectOwner, payloads::*};
use notifications::{domain::occasion::Occasion, use_cases::conclusion::Verdict};

use crate::support::{World, deliver, envelope, log_rows, owned, payment, signup};

#[tokio::test]
async fn a_redelivered_event_sends_nothing() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    let (first, last) = (payment(7, 42), payment(8, 42));
    world.mail_of(&first).await;
    world.row(first.id, "delivered").await;
    for _ in 0..3 {
        world.publish(&first).await;
    }
    // Behind the three in the queue: when it is through, so are they.
    world.mail_of(&last).await;
    world
        .vhost
        .wait_depth(crate::support::QUEUE, 0, crate::support::BOUND)
        .await;
    assert_eq!(world.mails_of(first.id), 1);
    assert_eq!(log_rows(&world.db.pool, first.id).await.len(), 1);
    assert_eq!(world.outbox().await.len(), 3, "sign-up, first and last");
}

#[tokio::test]
async fn two_processes_with_the_same_event_send_one_mail() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    let sent_before = world.sink.count();
    let other = deliver(&world.config, world.db.pool.clone());
    for round in 0..20 {
        let event = payment(100 + round, 42);
        let occasion = Occasion::of(&event, None, false).expect("an occasion");
        let (one, two) = tokio::join!(world.deliver.run(&occasion), other.run(&occasion));
        let verdicts = [one.expect("the database"), two.expect("the database")];
        assert!(verdicts.contains(&Verdict::Done), "{verdicts:?}");
        assert_eq!(world.mails_of(event.id), 1, "round {round}: {verdicts:?}");
        assert_eq!(log_rows(&world.db.pool, event.id).await.len(), 1);
    }
    assert_eq!(world.sink.count() - sent_before, 20);
}

#[tokio::test]
async fn the_same_event_twice_at_once_in_one_process_is_one_mail() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    let event = payment(7, 42);
    let occasion = Occasion::of(&event, None, false).expect("an occasion");
    let (one, two) = tokio::join!(world.deliver.run(&occasion), world.deliver.run(&occasion));
    assert_eq!(one.expect("the database"), Verdict::Done);
    assert!(matches!(
        two.expect("the database"),
        Verdict::Again(_) | Verdict::Done
    ));
    assert_eq!(world.mails_of(event.id), 1);
}

#[tokio::test]
async fn what_the_monolith_sends_is_recorded_and_not_sent() {
    let world = World::start().await;
    let event = owned(envelope("user/42", 1, signup(42, "de")), EffectOwner::Legacy);
    world.publish(&event).await;
    let row = world.row(event.id, "skipped_legacy").await;
    assert_eq!(
        (row.attempts, row.sent_at, row.channel.as_str()),
        (0, None, "email")
    );
    world.publish(&event).await;
    // The user is known all the same, for the events that are ours.
    let ours = owned(payment(7, 42), EffectOwner::New);
    let mail = world.mail_of(&ours).await;
    assert!(mail.subject().expect("a subject").starts_with("Quittung"));
    assert_eq!(world.sink.count(), 1);
    assert_eq!(log_rows(&world.db.pool, event.id).await.len(), 1);
    world.row(ours.id, "delivered").await;
    assert_eq!(
        world.outbox().await.len(),
        1,
        "nothing is told of what was skipped"
    );
}

#[tokio::test]
async fn a_refund_without_an_owner_is_ours() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    let data = PaymentRefunded {
        user_id: 42,
        ..<PaymentRefunded as banyan_events::EventData>::sample()
    };
    world.mail_of(&envelope("payment/7", 2, data)).await;
}
