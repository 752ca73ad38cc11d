//! The consumer inbox.

use std::time::Duration;

use banyan_events::{Envelope, EventKind};
use banyan_idempotency::{INBOX_SQL, inbox};
use banyan_test_support::TestDb;
use time::OffsetDateTime;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);
const DAY: Duration = Duration::from_hours(24);

/// Two handlers of the same event at once: one waits for the other, and exactly one is the first.
#[tokio::test]
async fn the_inbox_lets_one_transaction_be_the_first() {
    let db = TestDb::create(None).await;
    sqlx::raw_sql(INBOX_SQL).execute(&db.pool).await.unwrap();
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

    let mut one = db.pool.begin().await.unwrap();
    assert!(inbox::record(&mut one, "test.events", &envelope).await.unwrap());
    let second = tokio::spawn({
        let (pool, envelope) = (db.pool.clone(), envelope.clone());
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
        .fetch_one(&db.pool)
        .await
        .unwrap();
        waiting
    };
    banyan_test_support::wait_until("the second to wait for the first", SOON, question, |waiting| {
        *waiting == 1
    })
    .await;
    let mut other = db.pool.acquire().await.unwrap();
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
    .execute(&db.pool)
    .await
    .unwrap();
    assert_eq!(inbox::prune(&db.pool, DAY).await.unwrap(), 1);
    assert!(
        inbox::seen(&mut other, "another.events", envelope.id)
            .await
            .unwrap()
    );
}
