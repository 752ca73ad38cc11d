//! Rows that a sync brought from the monolith: they are shown, and worked off over there.

use banyan_events::{EffectOwner, EventData, payloads::*};
use notifications::{
    storage::{due::Kind, templates},
    templates::Source,
    use_cases::{
        deliver_due, install_templates,
        send_digest::{self, Limits},
    },
};
use time::Duration;
use uuid::Uuid;

use crate::support::{World, envelope, log_rows, owned, payment};

/// As the sync writes it: what schedules a row is not carried.
async fn carried(world: &World, id: i64, event_id: Uuid, status: &str, error: Option<&str>) {
    sqlx::query(
        "INSERT INTO notification_log (id, event_id, event_type, user_id, object_id, channel, template, status, attempts, error,
           digest_id, created_at)
         VALUES ($1, $2, 'payment.completed', 42, 7, 'email', 'payment-completed', $3, 1, $4, NULL, now() - interval '2 days')",
    )
    .bind(id)
    .bind(event_id)
    .bind(status)
    .bind(error)
    .execute(&world.db.pool)
    .await
    .expect("a row");
}

/// Id, status and error of each row.
async fn rows(world: &World) -> Vec<(i64, String, Option<String>)> {
    sqlx::query_as(
        "SELECT id, status, error FROM notification_log WHERE event_type = 'payment.completed' ORDER BY id",
    )
    .fetch_all(&world.db.pool)
    .await
    .expect("rows")
}

fn row(id: i64, status: &str, error: Option<&str>) -> (i64, String, Option<String>) {
    (id, status.to_owned(), error.map(str::to_owned))
}

#[tokio::test]
async fn no_job_takes_them_up() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    sqlx::query("INSERT INTO preference (user_id, category, digest) VALUES (42, 'payments', true)")
        .execute(&world.db.pool)
        .await
        .expect("a preference");
    let sent_before = world.sink.count();
    carried(&world, 1, Uuid::now_v7(), "queued", None).await;
    carried(&world, 2, Uuid::now_v7(), "queued", Some("SMTP 451")).await;
    carried(&world, 3, Uuid::now_v7(), "failed", Some("SMTP 451")).await;
    let before = rows(&world).await;
    for kind in [Kind::Pending, Kind::Failed] {
        let tally = deliver_due::run(&world.deliver, kind, None, 10)
            .await
            .expect("a run");
        assert_eq!(tally.tried, 0, "{kind:?}");
    }
    let limits = Limits {
        retry_after: Duration::minutes(1),
        max_attempts: 3,
    };
    let digests = send_digest::run(&world.deliver, limits, Uuid::now_v7)
        .await
        .expect("a run");
    assert_eq!((digests.sent, digests.unsent), (0, 0));
    assert_eq!(rows(&world).await, before);
    assert_eq!(world.sink.count(), sent_before);
}

#[tokio::test]
async fn an_event_that_the_monolith_has_a_row_of_is_never_sent_here() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    let (unowned, theirs, ours) = (
        payment(7, 42),
        owned(payment(8, 42), EffectOwner::Legacy),
        payment(9, 42),
    );
    carried(&world, 1, unowned.id, "queued", None).await;
    carried(&world, 2, theirs.id, "delivered", None).await;
    for event in [&unowned, &theirs] {
        world.publish(event).await;
    }
    world.mail_of(&ours).await;
    world.row(ours.id, "delivered").await;
    world.handled(theirs.id).await;
    world
        .vhost
        .wait_depth(crate::support::QUEUE, 0, crate::support::BOUND)
        .await;
    assert_eq!((world.mails_of(unowned.id), world.mails_of(theirs.id)), (0, 0));
    let statuses: Vec<String> = log_rows(&world.db.pool, theirs.id)
        .await
        .into_iter()
        .map(|row| row.status)
        .collect();
    assert_eq!(
        statuses,
        ["delivered", "skipped_legacy"],
        "the monolith's, and our note"
    );
    assert_eq!(log_rows(&world.db.pool, unowned.id).await.len(), 1);
}

#[tokio::test]
async fn the_monolith_s_templates_are_never_in_use_and_have_numbers_of_their_own() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    let pool = &world.db.pool;
    let carry =
        "INSERT INTO template (id, name, locale, version, subject, body_html, body_text, body_sms, origin)
                 VALUES (1, 'payment-completed', 'en', 1, '{{ amount|upper }}', '', '', '', 'legacy'),
                   (2, 'payment-completed', 'en', 2, '{% load i18n %}', '', '', '', 'legacy')";
    sqlx::query(carry).execute(pool).await.expect("templates");
    let (_, sources) = templates::active(pool).await.expect("templates");
    let in_use = sources
        .into_iter()
        .find(|(source, _)| (source.name.as_str(), source.locale.as_str()) == ("payment-completed", "en"));
    let (source, version) = in_use.expect("a template");
    assert_eq!(version, 1);
    let changed = Source {
        subject: "Paid".into(),
        ..source
    };
    let added = install_templates::change(pool, &changed)
        .await
        .expect("a template");
    assert_eq!(added.map(|added| added.version), Some(2));
    assert_eq!(
        world.mail_of(&payment(7, 42)).await.subject().as_deref(),
        Some("Paid")
    );
    let refused = sqlx::query("UPDATE template SET active = true WHERE id = 2")
        .execute(pool)
        .await;
    assert!(
        refused
            .expect_err("refused")
            .to_string()
            .contains("template_legacy_is_not_in_use")
    );
}

#[tokio::test]
async fn an_erasure_forgets_what_was_sent_and_leaves_what_is_queued_to_its_side() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    carried(&world, 1, Uuid::now_v7(), "queued", Some("SMTP 451")).await;
    carried(&world, 2, Uuid::now_v7(), "failed", Some("SMTP 550")).await;
    // The monolith was quicker.
    carried(
        &world,
        3,
        Uuid::now_v7(),
        "suppressed",
        Some("the account was erased"),
    )
    .await;
    let ours = payment(9, 42);
    world.mail_of(&ours).await;
    let id = world.row(ours.id, "delivered").await.id;
    sqlx::query("UPDATE notification_log SET status = 'queued', error = 'busy' WHERE id = $1")
        .bind(id)
        .execute(&world.db.pool)
        .await
        .expect("queued");
    let data = UserDeleted {
        user_id: 42,
        ..UserDeleted::sample()
    };
    let event = envelope("user/42", 9, data);
    world.publish(&event).await;
    world.handled(event.id).await;
    assert_eq!(
        rows(&world).await,
        [
            row(1, "queued", Some("SMTP 451")),
            row(2, "failed", None),
            row(3, "suppressed", Some("the account was erased")),
            row(id, "suppressed", Some("the account was erased")),
        ]
    );
}
