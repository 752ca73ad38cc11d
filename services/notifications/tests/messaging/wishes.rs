//! What users want, and do not want.

use banyan_events::{EventData, payloads::*};

use crate::support::{World, address, envelope, payment};

async fn prefer(world: &World, user_id: i64, category: &str, enabled: bool, digest: bool) {
    sqlx::query("INSERT INTO preference (user_id, category, enabled, digest) VALUES ($1, $2, $3, $4)")
        .bind(user_id)
        .bind(category)
        .bind(enabled)
        .bind(digest)
        .execute(&world.db.pool)
        .await
        .expect("a preference");
}

#[tokio::test]
async fn what_is_switched_off_is_suppressed() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    prefer(&world, 42, "payments", false, false).await;
    let event = payment(7, 42);
    world.publish(&event).await;
    let row = world.row(event.id, "suppressed").await;
    assert_eq!(row.error.as_deref(), Some("switched off by the user"));
    // Another category is not.
    let ready = envelope(
        "export/6",
        1,
        ReportExportReady {
            user_id: 42,
            ..ReportExportReady::sample()
        },
    );
    world.mail_of(&ready).await;
    assert_eq!(world.mails_of(event.id), 0);
}

#[tokio::test]
async fn a_password_link_is_sent_in_any_case() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    prefer(&world, 42, "account", false, true).await;
    let reset = envelope(
        "user/42",
        2,
        UserPasswordReset {
            email: address(42),
            ..UserPasswordReset::sample()
        },
    );
    world.mail_of(&reset).await;
    let verified = envelope(
        "user/42",
        3,
        UserEmailVerified {
            email: address(42),
            ..UserEmailVerified::sample()
        },
    );
    world.publish(&verified).await;
    world.row(verified.id, "suppressed").await;
}

#[tokio::test]
async fn a_secret_is_never_stored() {
    let world = World::start_with(&[], |consumer| consumer.retry_delays_ms = vec![60_000]).await;
    world.sink.stop_listening().await;
    let reset = envelope("user/42", 1, UserPasswordReset::sample());
    world.publish(&reset).await;
    let row = world.row(reset.id, "queued").await;
    assert_eq!(row.payload, None);
    let everything: String = sqlx::query_scalar(
        "SELECT string_agg((to_jsonb(l) - 'message_id')::text, '') FROM notification_log l",
    )
    .fetch_one(&world.db.pool)
    .await
    .expect("the log");
    assert!(
        !everything.contains("sample-reset-token") && !everything.contains('@'),
        "{everything}"
    );
}
