//! Keys that have expired.

use std::time::Duration;

use banyan_idempotency::{Fingerprint, Options, reap};
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Stage, prepared, said, write_once};
use axum::response::IntoResponse;

#[tokio::test]
async fn an_expired_key_is_as_new() {
    let options = Options {
        retention: Duration::ZERO,
        ..Options::new("thing")
    };
    let stage = Stage::with(options, |work| async move {
        assert!(!work.claimed.taken_over());
        said(201, work.run).into_response()
    })
    .await;
    assert_eq!(stage.call().send().await.said(), (201, json!(1)));
    let again = stage.call().send().await;
    assert_eq!((again.said(), again.replayed()), ((201, json!(2)), false));
    let other = stage.call().text("another request").send().await;
    assert_eq!((other.said(), other.replayed()), ((201, json!(3)), false));
}

#[tokio::test]
async fn a_key_is_remembered_from_its_first_use_for_the_retention() {
    let stage = Stage::new(|work| async move { write_once(&work, "once").await }).await;
    assert_eq!(stage.call().send().await.status, 201);
    let kept: bool = sqlx::query_scalar(
        "SELECT expires_at - created_at = interval '24 hours' AND created_at <= finished_at AND finished_at <= now()
           AND locked_until IS NULL FROM idempotency_key",
    )
    .fetch_one(&stage.db.pool)
    .await
    .unwrap();
    assert!(kept);
}

/// Keys `<prefix>-1` to `<prefix>-<count>`.
async fn insert(
    pool: &PgPool,
    prefix: &str,
    count: i32,
    expires: &str,
    locked: Option<&str>,
    finished: bool,
) {
    sqlx::query(
        "INSERT INTO idempotency_key (id, scope, owner, key, fingerprint, locked_until, created_at, expires_at, finished_at,
           response_status, response_headers, response_body)
         SELECT gen_random_uuid(), 'thing', '7', $1 || '-' || n, $2, now() + $4::interval, now() - interval '2 days',
           now() + $3::interval, CASE WHEN $5 THEN now() END, CASE WHEN $5 THEN 201 END, CASE WHEN $5 THEN '{}'::jsonb END,
           CASE WHEN $5 THEN ''::bytea END
         FROM generate_series(1, $6) n",
    )
    .bind(prefix)
    .bind(Fingerprint::of_canonical("a").as_bytes())
    .bind(expires)
    .bind(locked)
    .bind(finished)
    .bind(count)
    .execute(pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn reaping_takes_what_has_expired_and_nobody_works_on() {
    let (db, _keys) = prepared().await;
    insert(&db.pool, "old", 25, "-1 second", None, true).await;
    insert(&db.pool, "crashed", 2, "-1 second", Some("-1 hour"), false).await;
    insert(&db.pool, "fresh", 3, "1 hour", None, true).await;
    insert(&db.pool, "running", 4, "-1 second", Some("1 hour"), false).await;
    assert_eq!(reap(&db.pool, 10).await.unwrap(), 27, "more than one batch");
    let left: Vec<(String, i64)> = sqlx::query_as(
        "SELECT split_part(key, '-', 1) AS prefix, count(*) FROM idempotency_key GROUP BY prefix ORDER BY prefix",
    )
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert_eq!(left, [("fresh".into(), 3), ("running".into(), 4)]);
    assert_eq!(reap(&db.pool, 10).await.unwrap(), 0);
}

/// Two reapers at once do not wait for each other, and a key that is being claimed is left alone.
#[tokio::test]
async fn reaping_waits_for_nobody() {
    let (db, _keys) = prepared().await;
    insert(&db.pool, "old", 10, "-1 second", None, true).await;
    let mut other = db.pool.begin().await.unwrap();
    sqlx::raw_sql("SELECT FROM idempotency_key WHERE key IN ('old-1', 'old-2') FOR UPDATE")
        .execute(&mut *other)
        .await
        .unwrap();
    assert_eq!(reap(&db.pool, 3).await.unwrap(), 8);
    other.rollback().await.unwrap();
    assert_eq!(reap(&db.pool, 3).await.unwrap(), 2);
}
