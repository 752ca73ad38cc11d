//! The five jobs, stepped by hand.

use std::path::Path;

use banyan_events::{EventData, payloads::*};
use banyan_service_kit::JobRun;
use notifications::{
    storage::due::Kind,
    use_cases::{
        deliver_due, process_bounces, purge,
        send_digest::{self, Limits},
    },
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::support::{World, address, deliver, envelope, message_id, payment};

/// A world whose ladder is out of the way.
async fn world() -> World {
    let world = World::start_with(&[], |consumer| consumer.retry_delays_ms = vec![600_000]).await;
    world.sign_up(42, "en").await;
    world
}

async fn make_due(world: &World) {
    sqlx::query("UPDATE notification_log SET next_attempt_at = now() - interval '1 second' WHERE next_attempt_at IS NOT NULL")
        .execute(&world.db.pool)
        .await
        .expect("due");
}

#[tokio::test]
async fn a_forgotten_notification_is_delivered_once_by_two_processes() {
    let world = world().await;
    world.sink.stop_listening().await;
    let events: Vec<_> = (1..=30).map(|id| payment(id, 42)).collect();
    for event in &events {
        world.publish(event).await;
    }
    for event in &events {
        world.row(event.id, "queued").await;
    }
    world.sink.resume().await.expect("resumed");
    assert_eq!(
        deliver_due::run(&world.deliver, Kind::Pending, None, 100)
            .await
            .expect("a run")
            .tried,
        0,
        "not due yet"
    );
    make_due(&world).await;
    // The server was just unreachable for the consumer, so processes of their own take them up.
    let one = deliver(&world.config, world.db.pool.clone());
    let two = deliver(&world.config, world.db.pool.clone());
    let (one, two) = tokio::join!(
        deliver_due::run(&one, Kind::Pending, None, 100),
        deliver_due::run(&two, Kind::Pending, None, 100),
    );
    let (one, two) = (one.expect("a run"), two.expect("a run"));
    assert_eq!((one.tried + two.tried, one.done + two.done), (30, 30));
    for event in &events {
        assert_eq!(world.mails_of(event.id), 1);
        world.row(event.id, "delivered").await;
    }
}

#[tokio::test]
async fn failed_deliveries_are_retried_up_to_their_bound() {
    let world = World::start_with(&[], |consumer| consumer.retry_delays_ms = vec![50]).await;
    world.sign_up(42, "en").await;
    world.sink.stop_listening().await;
    let event = payment(7, 42);
    world.publish(&event).await;
    world.row(event.id, "failed").await;
    let other = deliver(&world.config, world.db.pool.clone());
    for attempts in 3..=5 {
        make_due(&world).await;
        deliver_due::run(&other, Kind::Failed, Some(5), 10)
            .await
            .expect("a run");
        assert_eq!(world.row(event.id, "failed").await.attempts, attempts);
    }
    world.sink.resume().await.expect("resumed");
    make_due(&world).await;
    assert_eq!(
        deliver_due::run(&other, Kind::Failed, Some(5), 10)
            .await
            .expect("a run")
            .tried,
        0,
        "the bound"
    );
    let fresh = deliver(&world.config, world.db.pool.clone());
    assert_eq!(
        deliver_due::run(&fresh, Kind::Failed, Some(6), 10)
            .await
            .expect("a run")
            .done,
        1
    );
    world.row(event.id, "delivered").await;
    world.handled(event.id).await;
}

#[tokio::test]
async fn a_day_s_notifications_are_one_mail() {
    let world = world().await;
    sqlx::query("INSERT INTO preference (user_id, category, digest) VALUES (42, 'payments', true)")
        .execute(&world.db.pool)
        .await
        .expect("a preference");
    let sent_before = world.sink.count();
    let failed = envelope(
        "payment/9",
        1,
        PaymentFailed {
            user_id: 42,
            ..PaymentFailed::sample()
        },
    );
    for event in [payment(7, 42), payment(8, 42), failed.clone()] {
        world.publish(&event).await;
        world.row(event.id, "queued").await;
    }
    assert_eq!(world.sink.count(), sent_before);
    let limits = Limits {
        retry_after: Duration::minutes(15),
        max_attempts: 3,
    };
    let two = deliver(&world.config, world.db.pool.clone());
    let (one, two) = tokio::join!(
        send_digest::run(&world.deliver, limits, Uuid::now_v7),
        send_digest::run(&two, limits, Uuid::now_v7),
    );
    assert_eq!(one.expect("a run").sent + two.expect("a run").sent, 1);
    let mail = world.sink.messages().pop().expect("the digest");
    assert_eq!(mail.subject().as_deref(), Some("3 notifications from today"));
    assert_eq!(mail.to, [address(42)]);
    let text = mail.text().expect("text");
    assert_eq!(
        text.matches("Receipt for your payment of 10.00 USD").count(),
        2,
        "{text}"
    );
    let row = world.row(failed.id, "delivered").await;
    assert_eq!(
        row.message_id.map(|id| id.trim_matches(['<', '>']).to_owned()),
        mail.message_id
    );
    assert_eq!(row.payload, None);
    assert_eq!(world.sink.count(), sent_before + 1);
    let told = world
        .outbox()
        .await
        .iter()
        .filter(|(kind, _)| kind == "notification.delivered")
        .count();
    assert_eq!(told, 4, "the sign-up and the three");
}

#[tokio::test]
async fn a_digest_that_cannot_be_sent_keeps_its_message_id_and_is_given_up_in_the_end() {
    let world = world().await;
    sqlx::query("INSERT INTO preference (user_id, category, digest) VALUES (42, 'payments', true)")
        .execute(&world.db.pool)
        .await
        .expect("a preference");
    let event = payment(7, 42);
    world.publish(&event).await;
    world.row(event.id, "queued").await;
    world.sink.stop_listening().await;
    let limits = Limits {
        retry_after: Duration::minutes(15),
        max_attempts: 3,
    };
    let digest_id = async || {
        let id: Option<Uuid> =
            sqlx::query_scalar("SELECT digest_id FROM notification_log WHERE event_id = $1")
                .bind(event.id)
                .fetch_one(&world.db.pool)
                .await
                .expect("a row");
        id
    };
    assert_eq!(
        send_digest::run(&world.deliver, limits, Uuid::now_v7)
            .await
            .expect("a run")
            .unsent,
        1
    );
    let first = digest_id().await;
    assert!(first.is_some());
    for _ in 0..2 {
        make_due(&world).await;
        assert_eq!(
            send_digest::run(&world.deliver, limits, Uuid::now_v7)
                .await
                .expect("a run")
                .unsent,
            1
        );
        assert_eq!(digest_id().await, first);
    }
    world.row(event.id, "failed").await;
}

fn report(event_id: Uuid, recipient: &str) -> String {
    format!(
        "From: mailer-daemon@mx.example.net\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n\
         Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n\
         --b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <{}>\r\nSubject: Receipt\r\n\r\nHello\r\n\r\n--b--\r\n",
        message_id(event_id)
    )
}

fn drop_mail(maildir: &Path, name: &str, mail: &str) {
    for folder in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(maildir.join(folder)).expect("a folder");
    }
    std::fs::write(maildir.join("new").join(name), mail).expect("a mail");
}

#[tokio::test]
async fn a_bounce_stops_further_mails_until_the_address_changes() {
    let world = world().await;
    let maildir = tempfile::tempdir().expect("a folder");
    let event = payment(7, 42);
    world.mail_of(&event).await;
    world.row(event.id, "delivered").await;
    drop_mail(maildir.path(), "1.forged", &report(Uuid::now_v7(), &address(42)));
    drop_mail(
        maildir.path(),
        "2.other",
        &report(event.id, "somebody@example.net"),
    );
    drop_mail(
        maildir.path(),
        "3.chatter",
        "Subject: hello\r\n\r\nOut of office.\r\n",
    );
    let run = async || {
        process_bounces::run(&world.db.pool, maildir.path(), "banyan.example", 100)
            .await
            .expect("a run")
    };
    assert_eq!(run().await, process_bounces::Tally { read: 3, marked: 0 });
    let second = payment(8, 42);
    world.mail_of(&second).await;
    world.row(second.id, "delivered").await;

    drop_mail(maildir.path(), "4.real", &report(second.id, &address(42)));
    assert_eq!(run().await, process_bounces::Tally { read: 1, marked: 1 });
    assert_eq!(run().await, process_bounces::Tally::default(), "worked off");
    let row = world.row(second.id, "failed").await;
    assert_eq!(row.error.as_deref(), Some("bounced with status 5.1.1"));
    let third = payment(9, 42);
    world.publish(&third).await;
    let row = world.row(third.id, "suppressed").await;
    assert_eq!(row.error.as_deref(), Some("the address bounces"));

    let update = UserProfileUpdated {
        user_id: 42,
        email: Some("new@example.com".into()),
        display_name: None,
        locale: None,
        preferred_channel: None,
    };
    let update = envelope("user/42", 9, update);
    world.publish(&update).await;
    world.handled(update.id).await;
    assert_eq!(world.mail_of(&payment(10, 42)).await.to, ["new@example.com"]);
}

#[tokio::test]
async fn a_missing_maildir_is_named() {
    let world = World::start().await;
    let error = process_bounces::run(&world.db.pool, Path::new("/no/such/maildir"), "banyan.example", 1)
        .await
        .expect_err("no folder");
    assert!(error.to_string().contains("/no/such/maildir"), "{error}");
}

#[tokio::test]
async fn old_rows_go_and_waiting_ones_stay() {
    let world = world().await;
    let (old, young) = (payment(7, 42), payment(8, 42));
    for event in [&old, &young] {
        world.mail_of(event).await;
        world.row(event.id, "delivered").await;
    }
    sqlx::query("UPDATE notification_log SET created_at = now() - interval '200 days' WHERE event_id = $1")
        .bind(old.id)
        .execute(&world.db.pool)
        .await
        .expect("aged");
    let queued: Uuid = sqlx::query_scalar(
        "INSERT INTO notification_log (event_id, event_type, user_id, channel, template, status, created_at)
         VALUES (gen_random_uuid(), 'payment.completed', 42, 'email', 'payment-completed', 'queued', now() - interval '200 days')
         RETURNING event_id",
    )
    .fetch_one(&world.db.pool)
    .await
    .expect("a queued row");
    let tally = purge::run(&world.db.pool, OffsetDateTime::now_utc(), 180, 60)
        .await
        .expect("a run");
    assert_eq!(
        tally,
        purge::Tally {
            notifications: 1,
            inbox: 0
        }
    );
    world.row(young.id, "delivered").await;
    world.row(queued, "queued").await;
}

#[tokio::test]
async fn the_five_jobs_have_schedules_and_run() {
    let maildir = tempfile::tempdir().expect("a folder");
    for folder in ["new", "cur"] {
        std::fs::create_dir(maildir.path().join(folder)).expect("a folder");
    }
    let path = maildir.path().display().to_string();
    let world = World::start_with(&[("jobs.process_bounces.maildir", &path)], |_| ()).await;
    let jobs = notifications::jobs::all(&world.config, &world.deliver).expect("schedules");
    let mut names: Vec<_> = jobs.iter().map(banyan_service_kit::Job::name).collect();
    names.sort_unstable();
    let expected = [
        "deliver_pending",
        "process_bounces",
        "purge_old_logs",
        "retry_failed_deliveries",
        "send_daily_digest",
    ];
    assert_eq!(names, expected);
    for job in jobs {
        assert!(
            job.next_after(OffsetDateTime::now_utc()).is_some(),
            "{} never runs",
            job.name()
        );
        job.run_once(&world.db.pool, JobRun::at(OffsetDateTime::now_utc()))
            .await
            .expect("a run");
    }
}
