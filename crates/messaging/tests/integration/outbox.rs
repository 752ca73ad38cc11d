//! The table itself: what it refuses, what is pruned, how the lag is told.

use std::time::Duration;

use banyan_db::{ErrorClass, classify};
use banyan_events::EventKind;
use banyan_messaging::outbox::{self, NewEvent, OutboxLag};
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
