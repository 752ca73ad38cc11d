//! `GET` and `PUT /api/notifications/preferences`

use reqwest::Method;
use serde_json::{Value, json};

use crate::Api;

const PATH: &str = "/api/notifications/preferences";

fn preference(category: &str, enabled: bool, channel: Option<&str>, digest: bool) -> Value {
    json!({"category": category, "enabled": enabled, "channel": channel, "digest": digest})
}

#[tokio::test]
async fn choices_are_kept_per_user_and_what_is_left_out_has_its_default() {
    let api = Api::start().await;
    let defaults = json!({"categories": [
        preference("payments", true, None, false),
        preference("account", true, None, false),
        preference("reports", true, None, false),
    ]});
    assert_eq!(api.get(PATH, 42).await, defaults);
    let body = json!({"categories": [
        {"category": "reports", "enabled": false},
        {"category": "payments", "channel": "webhook", "digest": true},
    ]});
    let answer = api
        .call(Method::PUT, PATH, Some(42), Some(&body.to_string()))
        .await;
    assert_eq!(answer.status(), 200);
    let expected = json!({"categories": [
        preference("payments", true, Some("webhook"), true),
        preference("account", true, None, false),
        preference("reports", false, None, false),
    ]});
    assert_eq!(answer.json::<Value>().await.expect("JSON"), expected);
    assert_eq!(api.get(PATH, 42).await, expected);
    assert_eq!(api.get(PATH, 43).await, defaults);
    let answer = api
        .call(Method::PUT, PATH, Some(42), Some(r#"{"categories": []}"#))
        .await;
    assert_eq!(answer.json::<Value>().await.expect("JSON"), defaults);
}

#[tokio::test]
async fn a_choice_that_is_changed_keeps_its_id() {
    let api = Api::start().await;
    // The monolith's, as a sync brought it.
    sqlx::query(
        "INSERT INTO preference (id, user_id, category) VALUES (5, 42, 'payments'), (6, 42, 'reports')",
    )
    .execute(&api.db.pool)
    .await
    .expect("preferences");
    let body = r#"{"categories": [{"category": "payments", "enabled": false}, {"category": "account", "digest": true}]}"#;
    let answer = api.call(Method::PUT, PATH, Some(42), Some(body)).await;
    assert_eq!(answer.status(), 200);
    let kept: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, category FROM preference WHERE user_id = 42 ORDER BY id")
            .fetch_all(&api.db.pool)
            .await
            .expect("preferences");
    let born_here = 1_099_511_627_776;
    assert_eq!((kept[0].0, kept[0].1.as_str(), kept.len()), (5, "payments", 2));
    assert!(kept[1].0 >= born_here && kept[1].1 == "account", "{kept:?}");
}

#[tokio::test]
async fn bad_bodies_are_problems_that_name_the_field() {
    let api = Api::start().await;
    for (body, expected, field) in [
        ("{", 400, ""),
        ("[]", 422, ""),
        ("{}", 422, ""),
        (
            r#"{"categories": [{"category": "gossip"}]}"#,
            422,
            "categories[0].category",
        ),
        (
            r#"{"categories": [{"category": "payments", "channel": "pigeon"}]}"#,
            422,
            "categories[0].channel",
        ),
        (
            r#"{"categories": [{"category": "payments", "enabled": "yes"}]}"#,
            422,
            "categories[0].enabled",
        ),
        (
            r#"{"categories": [{"category": "payments"}, {"category": "payments"}]}"#,
            422,
            "categories[1].category",
        ),
        (r#"{"categories": [], "more": 1}"#, 422, ""),
    ] {
        let (status, problem) = api.problem(Method::PUT, PATH, Some(42), Some(body)).await;
        assert_eq!(status, expected, "{body}: {problem}");
        if !field.is_empty() {
            assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
        }
    }
    let (status, _) = api.problem(Method::PUT, PATH, None, Some("{}")).await;
    assert_eq!(status, 401);
    let answer = api.call(Method::PUT, PATH, Some(42), None).await;
    assert_eq!(answer.status(), 415);
}

#[tokio::test]
async fn an_erased_user_stores_nothing_more() {
    let api = Api::start().await;
    sqlx::query("INSERT INTO contact (user_id, deleted_at) VALUES (42, now())")
        .execute(&api.db.pool)
        .await
        .expect("a tombstone");
    let (status, _) = api
        .problem(Method::PUT, PATH, Some(42), Some(r#"{"categories": []}"#))
        .await;
    assert_eq!(status, 403);
}
