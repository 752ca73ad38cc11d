//! What is learned of users: guarded against disorder, and erased.

use banyan_events::{EventData, payloads::*};

use crate::support::{World, address, envelope, log_rows, payment, signup};

fn update(user_id: i64) -> UserProfileUpdated {
    UserProfileUpdated {
        user_id,
        email: None,
        display_name: None,
        locale: None,
        preferred_channel: None,
    }
}

async fn contact(world: &World, user_id: i64) -> (Option<String>, Option<String>, Option<String>) {
    sqlx::query_as("SELECT email, display_name, locale FROM contact WHERE user_id = $1")
        .bind(user_id)
        .fetch_one(&world.db.pool)
        .await
        .expect("a contact")
}

#[tokio::test]
async fn events_out_of_order_leave_the_newest_of_every_field() {
    let world = World::start().await;
    let events = [
        envelope(
            "user/42",
            4,
            UserProfileUpdated {
                locale: Some("de".into()),
                ..update(42)
            },
        ),
        envelope(
            "user/42",
            3,
            UserProfileUpdated {
                email: Some("newer@example.com".into()),
                locale: Some("fr".into()),
                ..update(42)
            },
        ),
        envelope(
            "user/42",
            2,
            UserProfileUpdated {
                email: Some("older@example.com".into()),
                display_name: Some("Countess".into()),
                ..update(42)
            },
        ),
        envelope("user/42", 1, signup(42, "en")),
    ];
    for event in &events {
        world.publish(event).await;
        world.handled(event.id).await;
    }
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        contact(&world, 42).await,
        (some("newer@example.com"), some("Countess"), some("de"))
    );
    let mail = world.mail_of(&payment(7, 42)).await;
    assert_eq!(mail.to, ["newer@example.com"]);
}

#[tokio::test]
async fn a_verified_address_is_remembered_as_such() {
    let world = World::start().await;
    world.sign_up(42, "en").await;
    let event = envelope(
        "user/42",
        2,
        UserEmailVerified {
            email: address(42),
            ..UserEmailVerified::sample()
        },
    );
    world.mail_of(&event).await;
    let verified: bool =
        sqlx::query_scalar("SELECT email_verified_at IS NOT NULL FROM contact WHERE user_id = 42")
            .fetch_one(&world.db.pool)
            .await
            .expect("a contact");
    assert!(verified);
}

#[tokio::test]
async fn an_erased_user_leaves_nothing_personal_and_stays_erased() {
    let world = World::start_with(&[], |consumer| consumer.retry_delays_ms = vec![60_000]).await;
    world.sign_up(42, "en").await;
    let sent = payment(7, 42);
    world.mail_of(&sent).await;
    sqlx::raw_sql(
        "INSERT INTO preference (user_id, category) VALUES (42, 'payments');
         INSERT INTO device (user_id, kind, address) VALUES (42, 'sms', '+4912345678')",
    )
    .execute(&world.db.pool)
    .await
    .expect("rows");
    world.sink.stop_listening().await;
    let waiting = payment(8, 42);
    world.publish(&waiting).await;
    world.row(waiting.id, "queued").await;
    world.sink.resume().await.expect("resumed");

    let deleted = envelope(
        "user/42",
        5,
        UserDeleted {
            user_id: 42,
            ..UserDeleted::sample()
        },
    );
    world.publish(&deleted).await;
    world.handled(deleted.id).await;
    let row = world.row(waiting.id, "suppressed").await;
    assert_eq!(
        (row.payload, row.error.as_deref()),
        (None, Some("the account was erased"))
    );
    assert_eq!(contact(&world, 42).await, (None, None, None));
    for table in ["preference", "device"] {
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
            .fetch_one(&world.db.pool)
            .await
            .expect("a count");
        assert_eq!(left, 0, "{table}");
    }
    assert_eq!(
        log_rows(&world.db.pool, sent.id).await[0].status,
        "delivered",
        "the audit stays"
    );

    // A late event does not bring the user back, and nothing is sent any more.
    let late = envelope(
        "user/42",
        4,
        UserProfileUpdated {
            email: Some(address(42)),
            ..update(42)
        },
    );
    world.publish(&late).await;
    world.handled(late.id).await;
    assert_eq!(contact(&world, 42).await, (None, None, None));
    let reset = envelope(
        "user/42",
        6,
        UserPasswordReset {
            email: address(42),
            ..UserPasswordReset::sample()
        },
    );
    world.publish(&reset).await;
    world.row(reset.id, "suppressed").await;
}
