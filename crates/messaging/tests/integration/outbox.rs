//! The table itself: what it refuses, what is pruned, how the lag is told; and the inbox.

use std::time::Duration;

use banyan_db::{ErrorClass, classify};
use banyan_events::{Envelope, EventKind};
use banyan_messaging::{
    inbox,
    outbox::{self, NewEvent, OutboxLag},
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::support::{Stage, sample};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn pruning_takes_old_published_rows_and_nothing_else() {
    let stage = Stage::new().await;
    let [old, fresh, stuck] = [
        stage.write("payment/1").await,
        stage.write("payment/1").await,
        stage.write("payment/1").await,
    ];
    sqlx::query(
        "UPDATE outbox SET created_at = now() - interval '9 days', published_at = CASE id
          WHEN $1 THEN now() - interval '25 hours' WHEN $2 THEN now() - interval '23 hours' END",
    )
    .bind(old)
    .bind(fresh)
    .execute(stage.pool())
    .await
    .unwrap();
    assert_eq!(outbox::prune(stage.pool(), DAY).await.unwrap(), 1);
    let left: Vec<Uuid> = stage.written().await.into_iter().map(|(id, ..)| id).collect();
    assert_eq!(left, [fresh, stuck], "however old, what is unpublished stays");
    assert_eq!(outbox::prune(stage.pool(), DAY).await.unwrap(), 0);
}

/// More rows than one statement deletes.
#[tokio::test]
async fn pruning_goes_on_until_nothing_old_is_left() {
    let stage = Stage::new().await;
    stage.write_many(10_001, 1000).await;
    sqlx::raw_sql("UPDATE outbox SET published_at = now() - interval '2 days'")
        .execute(stage.pool())
        .await
        .unwrap();
    assert_eq!(outbox::prune(stage.pool(), DAY).await.unwrap(), 10_001);
    assert!(stage.written().await.is_empty());
}

#[tokio::test]
async fn the_lag_is_the_rows_that_wait_and_the_age_of_the_first() {
    let stage = Stage::new().await;
    assert_eq!(outbox::lag(stage.pool()).await.unwrap(), OutboxLag::default());
    stage.write_many(3, 3).await;
    sqlx::raw_sql("UPDATE outbox SET created_at = now() - interval '90 seconds' * (3 - sequence)")
        .execute(stage.pool())
        .await
        .unwrap();
    sqlx::raw_sql("UPDATE outbox SET published_at = now() WHERE sequence = 1")
        .execute(stage.pool())
        .await
        .unwrap();
    let lag = outbox::lag(stage.pool()).await.unwrap();
    assert_eq!(lag.unpublished, 2);
    assert!((90_000..100_000).contains(&lag.oldest_ms), "{lag:?}");
}

#[tokio::test]
async fn what_no_relay_could_publish_is_refused_where_it_is_written() {
    let stage = Stage::new().await;
    let long = format!("a.{}", "x".repeat(254));
    for (subject, kind, payload, constraint) in [
        ("", "user.signup", "{}", "outbox_subject_not_empty"),
        ("user/1", "", "{}", "outbox_type_is_routing_key"),
        ("user/1", long.as_str(), "{}", "outbox_type_is_routing_key"),
        ("user/1", "user.signup", "[1]", "outbox_payload_is_object"),
    ] {
        let refused =
            sqlx::query("INSERT INTO outbox (id, subject, type, payload) VALUES ($1, $2, $3, $4::jsonb)")
                .bind(Uuid::now_v7())
                .bind(subject)
                .bind(kind)
                .bind(payload)
                .execute(stage.pool())
                .await
                .unwrap_err();
        assert_eq!(classify(&refused), ErrorClass::Constraint(constraint.into()));
    }
    let event = NewEvent::new("user/1", sample(EventKind::UserSignup));
    let mut connection = stage.pool().acquire().await.unwrap();
    outbox::publish(&mut connection, event.clone()).await.unwrap();
    let twice = outbox::publish(&mut connection, event).await.unwrap_err();
    assert_eq!(classify(&twice), ErrorClass::Constraint("outbox_pkey".into()));
}

/// Two handlers of the same event at once: one waits for the other, and exactly one is the first.
#[tokio::test]
async fn the_inbox_lets_one_transaction_be_the_first() {
    let stage = Stage::new().await;
    let (event, now) = (EventKind::UserSignup.sample(), OffsetDateTime::now_utc());
    let envelope = Envelope::new(
        Uuid::now_v7(),
        "/monolith",
        "user/1",
        now,
        7,
        banyan_events::payloads::UserDeleted {
            user_id: 1,
            deleted_at: now,
        },
    )
    .map(|_| event);

    let mut one = stage.pool().begin().await.unwrap();
    assert!(inbox::record(&mut one, "test.events", &envelope).await.unwrap());
    let second = tokio::spawn({
        let (pool, envelope) = (stage.pool().clone(), envelope.clone());
        async move {
            let mut two = pool.begin().await.unwrap();
            let first = inbox::record(&mut two, "test.events", &envelope).await.unwrap();
            two.commit().await.unwrap();
            first
        }
    });
    let question = async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        )
        .fetch_one(stage.pool())
        .await
        .unwrap();
        waiting
    };
    banyan_test_support::wait_until(
        "the second to wait for the first",
        crate::support::SOON,
        question,
        |waiting| *waiting == 1,
    )
    .await;
    let mut other = stage.pool().acquire().await.unwrap();
    assert!(!inbox::seen(&mut other, "test.events", envelope.id).await.unwrap());
    one.commit().await.unwrap();
    assert!(!second.await.unwrap());
    assert!(inbox::seen(&mut other, "test.events", envelope.id).await.unwrap());
    assert!(
        inbox::record(&mut other, "another.events", &envelope)
            .await
            .unwrap()
    );

    sqlx::raw_sql(
        "UPDATE inbox SET processed_at = now() - interval '25 hours' WHERE consumer = 'test.events'",
    )
    .execute(stage.pool())
    .await
    .unwrap();
    assert_eq!(inbox::prune(stage.pool(), DAY).await.unwrap(), 1);
    assert!(
        inbox::seen(&mut other, "another.events", envelope.id)
            .await
            .unwrap()
    );
}
