//! `GET /api/notifications/`

use reqwest::Method;
use serde_json::json;

use crate::Api;

async fn rows(api: &Api, user_id: i64, count: i32) {
    sqlx::query(
        "INSERT INTO notification_log (event_id, event_type, user_id, channel, template, status, attempts, created_at)
         SELECT gen_random_uuid(), 'payment.completed', $1, 'email', 'payment-completed', 'delivered', n,
           timestamptz '2026-01-02 03:04:05.5Z' + (n / 2) * interval '1 second'
         FROM generate_series(1, $2) n",
    )
    .bind(user_id)
    .bind(count)
    .execute(&api.db.pool)
    .await
    .expect("rows");
}

#[tokio::test]
async fn a_notification_is_as_the_contract_has_it() {
    let api = Api::start().await;
    sqlx::query(
        "INSERT INTO notification_log (event_id, event_type, user_id, channel, template, status, attempts, error, created_at)
         VALUES ('01900000-0000-7000-8000-000000000001', 'payment.failed', 42, 'email', 'payment-failed', 'queued', 2,
           'answered 503', '2026-01-02 03:04:05Z')",
    )
    .execute(&api.db.pool)
    .await
    .expect("a row");
    let expected = json!({
        "items": [{
            "id": 1_099_511_627_776_i64,
            "eventId": "01900000-0000-7000-8000-000000000001",
            "eventType": "payment.failed",
            "channel": "email",
            "template": "payment-failed",
            "status": "queued",
            "attempts": 2,
            "error": "answered 503",
            "createdAt": "2026-01-02T03:04:05Z",
            "sentAt": null,
        }],
        "nextCursor": null,
    });
    assert_eq!(api.get("/api/notifications/", 42).await, expected);
}

#[tokio::test]
async fn pages_are_newest_first_complete_and_one_s_own() {
    let api = Api::start().await;
    rows(&api, 42, 25).await;
    rows(&api, 43, 3).await;
    let mut seen = Vec::new();
    let mut path = "/api/notifications/?limit=10".to_owned();
    loop {
        let page = api.get(&path, 42).await;
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= 10);
        seen.extend(
            items
                .iter()
                .map(|item| item["attempts"].as_i64().expect("attempts")),
        );
        let Some(cursor) = page["nextCursor"].as_str() else {
            break;
        };
        path = format!("/api/notifications/?limit=10&cursor={cursor}");
    }
    let expected: Vec<i64> = (1..=25).rev().collect();
    assert_eq!(seen, expected);
    assert_eq!(
        api.get("/api/notifications/", 43).await["items"]
            .as_array()
            .map(Vec::len),
        Some(3)
    );
    assert_eq!(
        api.get("/api/notifications/", 44).await,
        json!({"items": [], "nextCursor": null})
    );
}

#[tokio::test]
async fn what_the_monolith_sends_is_there_once_whether_its_row_has_come_or_not() {
    let api = Api::start().await;
    let insert = async |id: i64, event: i32, channel: &str, status: &str| {
        sqlx::query(
            "INSERT INTO notification_log (id, event_id, event_type, user_id, channel, template, status)
             VALUES ($1, lpad($2::text, 32, '0')::uuid, 'payment.completed', 42, $3, 'payment-completed', $4)",
        )
        .bind(id)
        .bind(event)
        .bind(channel)
        .bind(status)
        .execute(&api.db.pool)
        .await
        .expect("a row");
    };
    let ours = 1_099_511_627_776;
    insert(ours, 1, "email", "skipped_legacy").await;
    insert(ours + 1, 2, "email", "skipped_legacy").await;
    insert(ours + 2, 3, "email", "delivered").await;
    insert(1, 1, "email", "queued").await;
    // Of long ago, and the monolith's own.
    insert(2, 4, "sms", "skipped_legacy").await;
    let answer = api.get("/api/notifications/", 42).await;
    let mut ids: Vec<i64> = answer["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["id"].as_i64().expect("an id"))
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, ours + 1, ours + 2]);
}

#[tokio::test]
async fn bad_requests_are_problems() {
    let api = Api::start().await;
    for (path, user_id, expected) in [
        ("/api/notifications/?limit=0", Some(42), 400),
        ("/api/notifications/?limit=201", Some(42), 400),
        ("/api/notifications/?limit=many", Some(42), 400),
        ("/api/notifications/?cursor=garbage", Some(42), 400),
        ("/api/notifications/", None, 401),
        ("/api/notifications/nothing", Some(42), 404),
    ] {
        let (status, problem) = api.problem(Method::GET, path, user_id, None).await;
        assert_eq!(status, expected, "{path}");
        assert!(
            problem["type"]
                .as_str()
                .expect("a type")
                .starts_with("urn:banyan:problem:")
        );
    }
    let (status, _) = api
        .problem(Method::DELETE, "/api/notifications/", Some(42), None)
        .await;
    assert_eq!(status, 405);
}
