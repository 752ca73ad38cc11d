//! A handler whose own statements claim and finish, as the charge does: one round trip each.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use banyan_idempotency::{Answer, Claimed, Fingerprint, Idempotency, IdempotentRequest, Options, Refusal};
use banyan_service_kit::Problem;
use banyan_service_kit::auth::Caller;
use banyan_service_kit::extract::Json;
use banyan_test_support::{TestDb, TestKeys, wait_until};
use serde::Deserialize;
use serde_json::json;
use sqlx::{PgPool, Row as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::support::{Call, SOON, end_leases, listener, prepared, serve, things};

#[derive(Clone)]
struct Shop {
    pool: PgPool,
    /// What stands between the two statements, as the call to Stripe does.
    begun: Arc<Semaphore>,
    gate: Arc<Semaphore>,
}

#[derive(Deserialize)]
struct Order {
    text: String,
}

async fn order(
    State(shop): State<Shop>,
    Extension(caller): Extension<Caller>,
    request: IdempotentRequest,
    Json(order): Json<Order>,
) -> Result<Response, Problem> {
    if order.text.is_empty() {
        return Err(Problem::invalid("text", "is empty"));
    }
    let fingerprint = Fingerprint::of_canonical(json!([caller.user_id, order.text]).to_string());
    let (claim, thing) = begin(&shop.pool, &request, &fingerprint, &order.text).await?;
    let claimed = match claim {
        Ok(claimed) => claimed,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    shop.begun.add_permits(1);
    shop.gate
        .acquire()
        .await
        .map_err(|error| Problem::internal(&error))?
        .forget();
    let body = json!({"text": order.text, "new": thing.is_some(), "key": request.key()});
    let answer = Answer::json(StatusCode::CREATED, &body).map_err(|error| Problem::internal(&error))?;
    if settle(&shop.pool, &claimed, &answer).await? {
        Ok(answer.into_response())
    } else {
        Ok(Refusal::InProgress.into_response())
    }
}

type Begun = (Result<Claimed, Refusal>, Option<i64>);

/// The claim, and what the request makes.
async fn begin(
    pool: &PgPool,
    request: &IdempotentRequest,
    fingerprint: &Fingerprint,
    text: &str,
) -> Result<Begun, sqlx::Error> {
    let query = sqlx::query(
        "WITH claim AS MATERIALIZED (SELECT * FROM idempotency_claim($1, $2, $3, $4, $5, $6, $7)),
         made AS (INSERT INTO thing (text) SELECT $8 FROM claim WHERE claim_outcome = 'first' RETURNING place)
         SELECT claim.*, made.place FROM claim LEFT JOIN made ON true",
    );
    let row = request
        .bind(query, fingerprint)
        .bind(text)
        .fetch_one(pool)
        .await?;
    Ok((request.claimed(&row)?, row.try_get("place")?))
}

/// The outcome, and the answer that tells of it; neither when the claim is lost.
async fn settle(pool: &PgPool, claimed: &Claimed, answer: &Answer) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(
        "WITH finish AS MATERIALIZED (SELECT idempotency_finish($1, $2, $3, $4, $5) AS held),
         settled AS (INSERT INTO thing (text) SELECT 'settled' FROM finish WHERE held)
         SELECT held FROM finish",
    );
    claimed
        .bind_finish(query, answer)
        .fetch_one(pool)
        .await?
        .try_get("held")
}

struct Running {
    db: TestDb,
    _keys: TestKeys,
    shop: Shop,
    address: std::net::SocketAddr,
    call: Call,
}

async fn start() -> Running {
    let (db, keys) = prepared().await;
    let shop = Shop {
        pool: db.pool.clone(),
        begun: Arc::new(Semaphore::new(0)),
        gate: Arc::new(Semaphore::new(0)),
    };
    let once = Idempotency::by_handler(TaskTracker::new(), uuid::Uuid::now_v7, Options::new("order"));
    let router = Router::new()
        .route("/things", post(order).layer(once))
        .with_state(shop.clone());
    let (address, listener) = listener().await;
    let call = Call::new(address, keys.token(7));
    tokio::spawn(serve(listener, router, keys.jwks_url()));
    Running {
        db,
        _keys: keys,
        shop,
        address,
        call,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claim_and_effect_are_one_statement_and_happen_once() {
    let running = start().await;
    running.shop.gate.add_permits(1000);
    let answers = futures::future::join_all((0..50).map(|_| running.call.begin())).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    let first = answers
        .iter()
        .filter(|it| it.status == 201 && !it.replayed())
        .count();
    assert_eq!(first, 1);
    for refused in answers.iter().filter(|it| it.status != 201) {
        assert_eq!(refused.problem(), (409, "idempotency-key-in-use".into()));
    }
    let again = running.call.send().await;
    assert!(again.replayed());
    assert_eq!(again.json(), json!({"text": "a", "new": true, "key": "key-1"}));
    assert_eq!(things(&running.db.pool).await, ["a", "settled"]);
}

/// The handler judges the body before the key, and says itself what makes two requests the same.
#[tokio::test]
async fn the_handler_checks_the_body_first_and_has_its_own_fingerprint() {
    let running = start().await;
    running.shop.gate.add_permits(1000);
    let call = &running.call;
    assert_eq!(
        call.clone().no_key().body("{").send().await.problem(),
        (400, "idempotency-key-missing".into())
    );
    assert_eq!(
        call.clone().text("").send().await.problem(),
        (422, "invalid".into())
    );
    assert!(!call.send().await.replayed());
    assert_eq!(
        call.clone().text("").send().await.problem(),
        (422, "invalid".into())
    );
    assert!(
        call.clone()
            .body(r#"{"unknown": 1, "text": "a"}"#)
            .send()
            .await
            .replayed()
    );
    assert_eq!(
        call.clone().text("b").send().await.problem(),
        (422, "idempotency-key-reused".into())
    );
    assert_eq!(things(&running.db.pool).await, ["a", "settled"]);
}

#[tokio::test]
async fn a_late_statement_changes_nothing() {
    let running = start().await;
    let shop = &running.shop;
    let first = running.call.begin();
    shop.begun.acquire().await.unwrap().forget();
    end_leases(&running.db.pool).await;
    let second = running.call.begin();
    shop.begun.acquire().await.unwrap().forget();
    // Both stand before the second statement, in the order they came; the first has lost its claim.
    shop.gate.add_permits(1);
    assert_eq!(
        first.await.unwrap().problem(),
        (409, "idempotency-key-in-use".into())
    );
    assert_eq!(things(&running.db.pool).await, ["a"]);
    shop.gate.add_permits(1);
    let second = second.await.unwrap();
    assert_eq!(second.json()["new"], false, "the thing was there already");
    assert_eq!(things(&running.db.pool).await, ["a", "settled"]);
    assert_eq!(running.call.send().await.body, second.body);
}

#[tokio::test]
async fn the_handler_goes_on_when_the_client_hangs_up() {
    let running = start().await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(&running.call.raw()).await.unwrap();
    running.shop.begun.acquire().await.unwrap().forget();
    drop(stream);
    assert_eq!(running.call.send().await.status, 409);
    running.shop.gate.add_permits(1);
    let question = async || things(&running.db.pool).await;
    wait_until("the order to be settled", SOON, question, |things| {
        things.len() == 2
    })
    .await;
    assert!(running.call.send().await.replayed());
}
