//! The same over HTTP.

use banyan_test_support::{client, wait_for};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{BOUND, OPERATOR, VIEWER, World, execute};

struct Api {
    base: String,
}

impl Api {
    async fn ask(
        &self,
        token: Option<&str>,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = client().request(method, format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status();
        (status, response.json().await.expect("JSON"))
    }
}

#[tokio::test]
async fn operators_change_viewers_look_and_others_do_neither() {
    let world = World::new().await;
    let process = world.serve("http,sync").await;
    let api = Api {
        base: process.url(""),
    };
    let (status, _) = api.ask(None, Method::GET, "/api/sync", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, _) = api.ask(Some("guessed"), Method::GET, "/api/sync", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, all) = api.ask(Some(VIEWER), Method::GET, "/api/sync", None).await;
    assert_eq!((status, &all[0]["domain"]), (StatusCode::OK, &json!("payments")));
    let ways = Some(json!({ "ways": "forward" }));
    let (status, _) = api
        .ask(
            Some(VIEWER),
            Method::POST,
            "/api/sync/payments/start",
            ways.clone(),
        )
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) = api
        .ask(Some(OPERATOR), Method::POST, "/api/sync/shop/start", ways.clone())
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let bad = Some(json!({ "ways": "up" }));
    let (status, _) = api
        .ask(Some(OPERATOR), Method::POST, "/api/sync/payments/start", bad)
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);

    let (status, started) = api
        .ask(Some(OPERATOR), Method::POST, "/api/sync/payments/start", ways)
        .await;
    assert_eq!(
        (status, &started["started"]),
        (StatusCode::OK, &json!(true)),
        "{started}"
    );
    world.in_step("forward").await;
    execute(
        &world.payments.pool,
        "SET session_replication_role = replica; DELETE FROM fee WHERE id = 1",
    )
    .await;
    let fees = Some(json!({ "domain": "payments", "tables": ["fee"] }));
    let (status, _) = api
        .ask(Some(OPERATOR), Method::POST, "/api/validations", fees)
        .await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let mut run = Value::Null;
    wait_for("the validation", BOUND, async || {
        let (_, runs) = api
            .ask(
                Some(VIEWER),
                Method::GET,
                "/api/validations?domain=payments",
                None,
            )
            .await;
        run = runs[0].clone();
        if run["outcome"].is_string() {
            Ok(())
        } else {
            Err(runs.to_string())
        }
    })
    .await;
    assert_eq!(
        (&run["outcome"], &run["asked_by"]),
        (&json!("different"), &json!("api:ada")),
        "{run}"
    );
    let path = format!("/api/validations/{}", run["run_id"].as_str().expect("an id"));
    let (_, run) = api.ask(Some(VIEWER), Method::GET, &path, None).await;
    assert_eq!(run["differences"][0]["key"], json!(["1"]), "{run}");
    let repair = format!("{path}/repair");
    let apply = Some(json!({ "apply": true }));
    let (status, _) = api.ask(Some(VIEWER), Method::POST, &repair, apply.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, done) = api.ask(Some(OPERATOR), Method::POST, &repair, apply).await;
    assert_eq!((status, &done["repaired"]), (StatusCode::OK, &json!(1)), "{done}");
}
