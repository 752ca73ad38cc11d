//! A service with an operation for everything that the kit does.

use std::convert::Infallible;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Extension, Router};
use banyan_service_kit::auth::Caller;
use banyan_service_kit::config::{Loaded, load};
use banyan_service_kit::extract::{Json, Path, Query};
use banyan_service_kit::page::{List, Page};
use banyan_service_kit::{App, Context, Problem, Role, Running, Service, start};
use banyan_test_support::{client, wait_until};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::migrate::Migrator;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use utoipa::OpenApi;

/// An address where nobody listens: port 1 is below those that the system hands out.
pub(crate) const NOWHERE: &str = "127.0.0.1:1";

pub(crate) struct Fixture;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) greeting: Greeting,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Greeting {
    pub(crate) word: String,
    pub(crate) times: u8,
    #[serde(default)]
    pub(crate) languages: Vec<String>,
    #[serde(default)]
    pub(crate) token: Option<SecretString>,
    #[serde(default)]
    pub(crate) careless: Careless,
}

/// A section whose author forgot `deny_unknown_fields`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Careless {
    #[serde(default)]
    pub(crate) known: Option<String>,
}

#[derive(OpenApi)]
#[openapi(info(title = "Fixture"))]
struct Document;

impl Service for Fixture {
    const NAME: &'static str = "fixture";
    const ABOUT: &'static str = "Shows what the kit does.";
    const DEFAULT_CONFIG: &'static str = r#"
        [http]
        listen = "127.0.0.1:0"
        [greeting]
        word = "hello"
        times = 1
    "#;
    const SECRETS: &'static [&'static str] = &["greeting.token"];

    type Config = Config;

    fn migrator() -> Migrator {
        Migrator::DEFAULT
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        Document::openapi()
    }

    async fn build(ctx: Context<Config>) -> anyhow::Result<App> {
        let closed = async || Ok::<_, Infallible>(vec![CLOSED_USER]);
        Ok(App::new(router(ctx.tasks)).closed_accounts(closed))
    }
}

/// Whose account is closed.
pub(crate) const CLOSED_USER: i64 = 404;

/// Where `/gate` and `/task` wait: [`open`] lets one through.
static GATES: Semaphore = Semaphore::const_new(0);

fn router(tasks: TaskTracker) -> Router {
    Router::new()
        .route("/ok", get(async || "fine"))
        .route("/echo", post(async |Json(order): Json<Order>| Json(order)))
        .route(
            "/items/{id}",
            get(async |Path(id): Path<i64>| Json(json!({ "id": id }))),
        )
        .route("/items", get(items))
        .route(
            "/me",
            get(async |caller: Caller| Json(json!({ "userId": caller.user_id, "sid": caller.session_id }))),
        )
        .route(
            "/plain-json",
            post(async |axum::Json(order): axum::Json<Order>| axum::Json(order)),
        )
        .route(
            "/declined",
            get(async || {
                (
                    axum::http::StatusCode::PAYMENT_REQUIRED,
                    axum::Json(json!({ "id": 7 })),
                )
            }),
        )
        .route("/panic", get(panics))
        .route("/conflict", get(async || conflict().map(|()| "never")))
        .route(
            "/never",
            get(std::future::pending::<()>)
                .post(async |_: axum::body::Bytes| std::future::pending::<()>().await),
        )
        .route("/gate/{name}", get(gate))
        .route("/task/{name}", post(task))
        .layer(Extension(tasks))
        .with_state(Arc::new(()))
}

async fn panics() -> &'static str {
    panic!("the secret reason")
}

fn conflict() -> Result<(), Problem> {
    Err(Problem::new(&banyan_service_kit::problem::CONFLICT)
        .detail("it is taken")
        .field("name", "is taken"))
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    amount: i64,
    #[serde(default)]
    lines: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    sku: String,
}

/// Ids 5 to 1, newest first.
async fn items(page: Page) -> Json<List<i64>> {
    let newest = page.after.unwrap_or(6);
    let rows: Vec<i64> = (1..newest)
        .rev()
        .take(usize::try_from(page.fetch()).unwrap())
        .collect();
    Json(List::new(rows, &page, |id| *id, |id| id))
}

/// Waits until somebody opens the gates; tells that it waits.
async fn gate(State(_): State<Arc<()>>, Path(name): Path<String>) -> String {
    WAITING.add_permits(1);
    GATES.acquire().await.unwrap().forget();
    name
}

/// Starts a task that waits at the gates, and answers at once.
async fn task(
    Extension(tasks): Extension<TaskTracker>,
    Path(name): Path<String>,
    Query(()): Query<()>,
) -> String {
    tasks.spawn(async {
        WAITING.add_permits(1);
        GATES.acquire().await.unwrap().forget();
        DONE.add_permits(1);
    });
    name
}

static WAITING: Semaphore = Semaphore::const_new(0);
static DONE: Semaphore = Semaphore::const_new(0);

/// The gates are one per process; whoever uses them holds this.
pub(crate) static GATE_KEEPER: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Waits until a request or task waits at the gates.
pub(crate) async fn somebody_waits() {
    WAITING.acquire().await.unwrap().forget();
}

/// Lets one through.
pub(crate) fn open() {
    GATES.add_permits(1);
}

/// Whether a task of `/task` has gone through, once for each.
pub(crate) fn task_done() -> bool {
    DONE.try_acquire()
        .map(tokio::sync::SemaphorePermit::forget)
        .is_ok()
}

/// The fixture's configuration with these keys set, database and broker nowhere unless they are among them.
pub(crate) fn config(keys: &[(&str, &str)]) -> Loaded<Config> {
    config_of::<Fixture>(keys)
}

pub(crate) fn config_of<S: Service>(keys: &[(&str, &str)]) -> Loaded<S::Config> {
    load::<S>(None, env(S::NAME, keys)).unwrap_or_else(|error| panic!("{error}"))
}

/// Environment variables for these keys.
pub(crate) fn env(service: &str, keys: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    let nowhere = [
        (
            "database.url",
            format!("postgres://fixture:s3cret@{NOWHERE}/fixture"),
        ),
        ("broker.url", format!("amqp://fixture:s3cret@{NOWHERE}/fixture")),
        ("http.listen", "127.0.0.1:0".to_owned()),
    ];
    nowhere
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .filter(|(nowhere, _)| keys.iter().all(|(key, _)| key != nowhere))
        .chain(keys.iter().copied())
        .map(|(key, value)| {
            let name = format!(
                "BANYAN_{}__{}",
                service.to_uppercase(),
                key.to_uppercase().replace('.', "__")
            );
            (name.into(), value.into())
        })
        .collect()
}

/// The fixture, serving its public API with neither database nor broker.
pub(crate) async fn serve(keys: &[(&str, &str)]) -> Running {
    start::<Fixture>(&config(keys), &[Role::Http])
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// `/readyz` as (status, body).
pub(crate) async fn readyz(service: &Running) -> (u16, Value) {
    let answer = client()
        .get(format!("{}/readyz", service.url()))
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Waits until `/readyz` answers this status.
pub(crate) async fn wait_readyz(service: &Running, status: u16) -> Value {
    let what = format!("/readyz to answer {status}");
    wait_until(
        &what,
        Duration::from_secs(30),
        async || readyz(service).await,
        |(seen, _)| *seen == status,
    )
    .await
    .1
}
