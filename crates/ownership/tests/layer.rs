//! The question before each request, in a router.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router, middleware};
use banyan_ownership::{Decision, OWNERSHIP_SQL, Ownership, Side, decide, only_ours};
use banyan_service_kit::Problem;
use banyan_service_kit::auth::Caller;
use banyan_service_kit::problem::MISDIRECTED;
use banyan_test_support::TestDb;
use sqlx::AssertSqlSafe;
use tower::ServiceExt as _;

const OWNERSHIP: Ownership = Ownership {
    domain: "payments",
    rollout: "payments",
    side: Side::New,
    hand_over: "@legacy",
    patience: Duration::ZERO,
};

async fn database() -> TestDb {
    let db = TestDb::create(None).await;
    sqlx::raw_sql(AssertSqlSafe(OWNERSHIP_SQL))
        .execute(&db.pool)
        .await
        .expect("the tables");
    db
}

async fn decided(db: &TestDb, generation: i64, basis_points: u16) {
    let mut connection = db.pool.acquire().await.expect("a connection");
    let decision = Decision {
        generation,
        basis_points,
        ..Decision::default()
    };
    decide(&mut connection, "payments", &decision)
        .await
        .expect("decided");
}

/// User 7 asks, or nobody.
async fn ask(db: &TestDb, path: &str, caller: Option<Caller>) -> Response {
    let ours = middleware::from_fn_with_state((OWNERSHIP, db.pool.clone()), only_ours);
    let mut router = Router::new()
        .route("/", get(|| async { "served" }))
        .route(
            "/late",
            get(|| async { Problem::new(&MISDIRECTED).into_response() }),
        )
        .layer(ours);
    if let Some(caller) = caller {
        router = router.layer(Extension(caller));
    }
    let request = Request::get(path).body(Body::empty()).expect("a request");
    router.oneshot(request).await.expect("an answer")
}

fn user() -> Caller {
    Caller {
        user_id: 7,
        session_id: None,
    }
}

fn told<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer
        .headers()
        .get(name)
        .map(|value| value.to_str().expect("ASCII"))
}

#[tokio::test]
async fn a_user_is_served_where_they_are_and_handed_over_elsewhere() {
    let db = database().await;
    assert_eq!(ask(&db, "/", Some(user())).await.status(), StatusCode::OK);
    decided(&db, 1, 0).await;
    let theirs = ask(&db, "/", Some(user())).await;
    assert_eq!(theirs.status(), StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(told(&theirs, "x-accel-redirect"), Some("@legacy"));
    assert_eq!(told(&theirs, "content-type"), Some("application/problem+json"));
    assert_eq!(
        ask(&db, "/", None).await.status(),
        StatusCode::OK,
        "nobody does not move"
    );
}

#[tokio::test]
async fn who_settles_for_too_long_is_told_to_come_again() {
    let db = database().await;
    decided(&db, 1, 0).await;
    decided(&db, 2, 10_000).await;
    let settling = ask(&db, "/", Some(user())).await;
    assert_eq!(settling.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(told(&settling, header::RETRY_AFTER.as_str()), Some("1"));
    assert_eq!(
        told(&settling, "x-accel-redirect"),
        None,
        "the other side would not serve them"
    );
}

#[tokio::test]
async fn what_a_transaction_found_out_is_handed_over_as_well() {
    let db = database().await;
    let late = ask(&db, "/late", Some(user())).await;
    assert_eq!(late.status(), StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(told(&late, "x-accel-redirect"), Some("@legacy"));
}

#[tokio::test]
async fn without_the_rules_nobody_is_served() {
    let db = TestDb::create(None).await;
    assert_eq!(
        ask(&db, "/", Some(user())).await.status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
}
