//! The smallest service: one operation for known callers, one section of configuration.
//!
//! ```sh
//! export BANYAN_GREETER__DATABASE__URL=postgres://… BANYAN_GREETER__BROKER__URL=amqp://…
//! cargo run -p banyan-service-kit --example greeter -- serve
//! ```

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use banyan_service_kit::auth::Caller;
use banyan_service_kit::extract::{Json, Query};
use banyan_service_kit::{App, Context, Service};
use serde::{Deserialize, Serialize};
use sqlx::migrate::Migrator;
use utoipa::{IntoParams, OpenApi, ToSchema};

struct Greeter;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    greeting: Greeting,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Greeting {
    word: String,
}

#[derive(Deserialize, IntoParams)]
struct Patience {
    /// How long to think about the answer, in milliseconds.
    #[serde(default)]
    after_ms: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Hello {
    text: String,
    user_id: i64,
}

/// Greets the caller.
#[utoipa::path(
    get,
    path = "/api/greeter/hello",
    params(Patience),
    responses((status = 200, body = Hello), (status = 401, body = banyan_service_kit::problem::ProblemBody, content_type = "application/problem+json"))
)]
async fn hello(
    State(config): State<Config>,
    caller: Caller,
    Query(patience): Query<Patience>,
) -> Json<Hello> {
    tokio::time::sleep(Duration::from_millis(patience.after_ms)).await;
    Json(Hello {
        text: config.greeting.word,
        user_id: caller.user_id,
    })
}

#[derive(OpenApi)]
#[openapi(info(title = "Greeter"), paths(hello))]
struct Document;

impl Service for Greeter {
    const NAME: &'static str = "greeter";
    const ABOUT: &'static str = "Greets known callers.";
    const DEFAULT_CONFIG: &'static str =
        "[http]\nlisten = \"127.0.0.1:3999\"\n[greeting]\nword = \"hello\"\n";

    type Config = Config;

    fn migrator() -> Migrator {
        Migrator::DEFAULT
    }

    fn openapi() -> utoipa::openapi::OpenApi {
        Document::openapi()
    }

    async fn build(ctx: Context<Config>) -> anyhow::Result<App> {
        Ok(App::new(
            Router::new()
                .route("/api/greeter/hello", get(hello))
                .with_state(ctx.config),
        ))
    }
}

fn main() -> ExitCode {
    banyan_service_kit::main::<Greeter>()
}
