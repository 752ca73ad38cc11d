//! A server whose operation does what the test says.

mod call;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use banyan_idempotency::{Answer, Claimed, IDEMPOTENCY_SQL, Idempotency, Options};
use banyan_service_kit::auth::{Caller, Verifier};
use banyan_service_kit::config::AuthConfig;
use banyan_service_kit::extract::Json;
use banyan_test_support::{TestDb, TestKeys, wait_until};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

pub(crate) use call::Call;

/// Longer than anything takes.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// What a handler gets.
pub(crate) struct Work {
    /// The number of this run, from 1.
    pub(crate) run: usize,
    pub(crate) caller: Caller,
    pub(crate) claimed: Claimed,
    pub(crate) body: Value,
    pub(crate) pool: PgPool,
}

type Handler = Arc<dyn Fn(Work) -> BoxFuture<'static, Response> + Send + Sync>;

#[derive(Clone)]
struct Operation {
    handler: Handler,
    runs: Arc<AtomicUsize>,
    pool: PgPool,
}

/// A database, a server on it, and who may call.
pub(crate) struct Stage {
    pub(crate) db: TestDb,
    pub(crate) keys: TestKeys,
    pub(crate) address: SocketAddr,
    runs: Arc<AtomicUsize>,
}

impl Stage {
    /// A server with `POST /things`, `POST /things/{id}/parts` (keys per path) and `POST /others`, all of them by layer
    /// and done by `handler`.
    pub(crate) async fn new<F>(handler: impl Fn(Work) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        Self::with(Options::new("thing"), handler).await
    }

    pub(crate) async fn with<F>(options: Options, handler: impl Fn(Work) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let (db, keys) = prepared().await;
        let runs = Arc::new(AtomicUsize::new(0));
        let (address, listener) = listener().await;
        let router = router(&db.pool, options, &runs, handler);
        tokio::spawn(serve(listener, router, keys.jwks_url()));
        Self {
            db,
            keys,
            address,
            runs,
        }
    }

    /// How often the handler was started.
    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// `POST /things` by user 7.
    pub(crate) fn call(&self) -> Call {
        Call::new(self.address, self.keys.token(7))
    }

    /// Lets every lease run out.
    pub(crate) async fn end_leases(&self) {
        end_leases(&self.db.pool).await;
    }

    /// How many keys have no answer yet.
    pub(crate) async fn unfinished(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM idempotency_key WHERE finished_at IS NULL")
            .fetch_one(&self.db.pool)
            .await
            .unwrap()
    }

    /// Waits until every key has its answer.
    pub(crate) async fn all_finished(&self) {
        let question = async || self.unfinished().await;
        wait_until("every key to be finished", SOON, question, |left| *left == 0).await;
    }

    /// How many keys are known.
    pub(crate) async fn known(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM idempotency_key")
            .fetch_one(&self.db.pool)
            .await
            .unwrap()
    }

    /// What the handlers wrote.
    pub(crate) async fn things(&self) -> Vec<String> {
        things(&self.db.pool).await
    }
}

/// A database with the keys and a table for effects, and who signs tokens.
pub(crate) async fn prepared() -> (TestDb, TestKeys) {
    let (db, keys) = tokio::join!(TestDb::create(None), TestKeys::start());
    sqlx::raw_sql(IDEMPOTENCY_SQL).execute(&db.pool).await.unwrap();
    sqlx::raw_sql("CREATE TABLE thing (place bigint GENERATED ALWAYS AS IDENTITY, text text NOT NULL)")
        .execute(&db.pool)
        .await
        .unwrap();
    (db, keys)
}

/// A free port.
pub(crate) async fn listener() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), listener)
}

/// The routes of [`Stage::with`].
pub(crate) fn router<F>(
    pool: &PgPool,
    options: Options,
    runs: &Arc<AtomicUsize>,
    handler: impl Fn(Work) -> F + Send + Sync + 'static,
) -> Router
where
    F: Future<Output = Response> + Send + 'static,
{
    let layer =
        |options| Idempotency::by_layer(pool.clone(), TaskTracker::new(), uuid::Uuid::now_v7, options);
    let parts = Options {
        operation: "part",
        per_path: true,
        ..options
    };
    let other = Options {
        operation: "other",
        ..options
    };
    let things = Router::new()
        .route("/", post(operation).layer(layer(options)))
        .route("/{id}/parts", post(operation).layer(layer(parts)));
    Router::new()
        .nest("/things", things)
        .route("/others", post(operation).layer(layer(other)))
        .with_state(Operation {
            handler: Arc::new(move |work| Box::pin(handler(work))),
            runs: Arc::clone(runs),
            pool: pool.clone(),
        })
}

/// Serves until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, router: Router, jwks_url: String) {
    let verifier = Verifier::new(&AuthConfig {
        jwks_url: Some(jwks_url.parse().unwrap()),
        issuer: None,
        audience: None,
        refresh_seconds: 300.try_into().unwrap(),
        refetch_min_ms: 0,
        fetch_timeout_ms: 3000.try_into().unwrap(),
        leeway_seconds: 2,
    });
    let router = router.layer(Extension(verifier.unwrap().unwrap()));
    axum::serve(listener, router).await.unwrap();
}

async fn operation(
    State(operation): State<Operation>,
    Extension(caller): Extension<Caller>,
    claimed: Claimed,
    Json(body): Json<Value>,
) -> Response {
    let run = operation.runs.fetch_add(1, Ordering::SeqCst) + 1;
    let work = Work {
        run,
        caller,
        claimed,
        body,
        pool: operation.pool,
    };
    (operation.handler)(work).await
}

/// An answer with this text.
pub(crate) fn said(status: u16, text: impl Into<Value>) -> Answer {
    Answer::json(
        StatusCode::from_u16(status).unwrap(),
        &json!({"said": text.into()}),
    )
    .unwrap()
}

/// Writes a thing, stores the answer with it, and answers; as a handler should.
pub(crate) async fn write_once(work: &Work, text: &str) -> Response {
    let answer = said(201, text);
    let mut transaction = work.pool.begin().await.unwrap();
    write_thing(&mut transaction, text).await;
    if let Err(lost) = work.claimed.finish(&mut transaction, &answer).await {
        return banyan_service_kit::Problem::from(lost).into_response();
    }
    transaction.commit().await.unwrap();
    answer.into_response()
}

pub(crate) async fn write_thing(connection: &mut sqlx::PgConnection, text: &str) {
    sqlx::query("INSERT INTO thing (text) VALUES ($1)")
        .bind(text)
        .execute(connection)
        .await
        .unwrap();
}

pub(crate) async fn things(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("SELECT text FROM thing ORDER BY place")
        .fetch_all(pool)
        .await
        .unwrap()
}

pub(crate) async fn end_leases(pool: &PgPool) {
    sqlx::raw_sql(
        "UPDATE idempotency_key SET locked_until = now() - interval '1 ms' WHERE locked_until IS NOT NULL",
    )
    .execute(pool)
    .await
    .unwrap();
}
