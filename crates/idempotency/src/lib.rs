//! Doing a thing once: idempotency keys for HTTP operations, and the inbox for events.
//!
//! A client that got no answer sends its request again, with the same `Idempotency-Key`, and what it asked for happens once.
//! The behaviour follows the IETF draft
//! [The Idempotency-Key HTTP Header Field](https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header)
//! and [Stripe's idempotent requests](https://docs.stripe.com/api/idempotent_requests).
//!
//! # What a client sees
//!
//! | the request | the answer |
//! |---|---|
//! | comes with a new key | of the operation |
//! | comes again, and was carried out | status, headers and body of then, with `Idempotent-Replayed: true` |
//! | comes again, and still runs | 409 `idempotency-key-in-use` with `Retry-After` |
//! | is another one under a used key | 422 `idempotency-key-reused` |
//! | has no key, or one that cannot be | 400 `idempotency-key-missing`, `idempotency-key-invalid` |
//!
//! A key belongs to a user and an operation (or one path of it, [`Options::per_path`]) for [`Options::retention`].
//!
//! # The states of a key
//!
//! ```text
//!             claim                   finish
//!  (no row) ─────────▶ running ─────────────────────▶ finished ──▶ replayed to every repetition
//!     ▲  ▲               │  ▲ ╲                          │
//!     │  │    forget     │  │  ╲ suspend,                │
//!     │  └───────────────┘  │   ╲ or the lease ends      │
//!     │  (refused, nothing  │    ▼                       │
//!     │   was done)         └─ given up                  │
//!     │                 claim: taken over, goes on       │
//!     │                 from the recovery point          │
//!     └──────────────────────────────────────────────────┘
//!                  expired: claimed anew, or reaped
//! ```
//!
//! Each claim raises the key's *fence*. A holder that was slower than its lease, and was taken over, comes with the old one:
//! it can store nothing any more, and the transaction in which it tried rolls back ([`ClaimError::Lost`]).
//!
//! # By layer
//!
//! [`Idempotency::by_layer`] works around any handler. What the handler writes is safe in one of two ways:
//! - it stores its answer in the transaction of its effect with [`Claimed::finish`], so that both commit or neither does;
//! - it does several steps, each with [`Claimed::advance`] in its transaction, and goes on from
//!   [`Claimed::recovery_point`] when it is [`Claimed::taken_over`].
//!
//! A handler that does neither may run a second time after a crash between its commit and the stored answer: good enough only
//! where its own writes are idempotent.
//!
//! ```no_run
//! use axum::http::StatusCode;
//! use axum::response::{IntoResponse, Response};
//! use axum::routing::post;
//! use axum::{Extension, Router};
//! use banyan_idempotency::{Answer, Claimed, Idempotency, Options};
//! use banyan_service_kit::Problem;
//! use banyan_service_kit::auth::Caller;
//! use banyan_service_kit::extract::Json;
//!
//! #[derive(serde::Deserialize)]
//! struct Wish { text: String }
//!
//! async fn wish(
//!     Extension(pool): Extension<sqlx::PgPool>,
//!     Extension(caller): Extension<Caller>,
//!     claimed: Claimed,
//!     Json(wish): Json<Wish>,
//! ) -> Result<Response, Problem> {
//!     let mut transaction = pool.begin().await?;
//!     sqlx::query("INSERT INTO wish (user_id, text) VALUES ($1, $2)")
//!         .bind(caller.user_id)
//!         .bind(&wish.text)
//!         .execute(&mut *transaction)
//!         .await?;
//!     let answer = Answer::json(StatusCode::CREATED, &wish.text).map_err(|error| Problem::internal(&error))?;
//!     claimed.finish(&mut transaction, &answer).await?;
//!     transaction.commit().await?;
//!     Ok(answer.into_response())
//! }
//!
//! // `pool` and `tasks` are those of the service's context.
//! fn router(pool: sqlx::PgPool, tasks: tokio_util::task::TaskTracker) -> Router {
//!     let once = Idempotency::by_layer(pool.clone(), tasks, uuid::Uuid::now_v7, Options::new("wish"));
//!     Router::new().route("/wishes", post(wish).layer(once)).layer(Extension(pool))
//! }
//! ```
//!
//! The layer stores 2xx, 3xx and 402. Other 4xx say that nothing was done and free the key; 202 and 5xx leave it to be taken
//! over. A key is judged before the handler reads the body, by the fingerprint of the whole request.
//!
//! # By handler
//!
//! [`Idempotency::by_handler`] costs no round trip of its own: the handler gets an [`IdempotentRequest`], checks its body, and
//! claims and finishes within its own statements by the SQL functions of `sql/idempotency.v1.sql`
//! ([`IdempotentRequest::bind`], [`IdempotentRequest::claimed`], [`Claimed::bind_finish`]). The fingerprint is that of what
//! the handler understood ([`Fingerprint::of_canonical`]). Every way out of such a handler finishes, suspends or forgets its
//! claim; what it leaves out, the end of the lease makes up for.
//!
//! In both modes the handler runs on a task of its own, so it goes on when the client hangs up. A client that came without a
//! token learns that first, then what is wrong with its key, then what is wrong with its body.
//!
//! # Metrics
//!
//! | name | labels | |
//! |---|---|---|
//! | `banyan_idempotency_requests_total` | `operation`, `outcome`: `first`, `taken_over`, `replayed`, `in_progress`, `mismatch` | claims asked for |
//! | `banyan_idempotency_handling_seconds` | `operation` | the handler's time, by layer |
//! | `banyan_idempotency_claims_lost_total` | `operation` | attempts to write after the claim was taken over: is the lease too short? |
//! | `banyan_idempotency_reaped_total` | `state`: `finished`, `unfinished` | rows deleted; `unfinished` ones crashed and nobody asked again |

mod answer;
mod claim;
mod fingerprint;
pub mod inbox;
mod key;
mod layer;
pub mod problem;
mod reap;
mod request;

pub use answer::{Answer, IDEMPOTENT_REPLAYED, KEPT_HEADERS};
pub use claim::{ClaimError, Claimed, PgQuery, Refusal, STARTED};
pub use fingerprint::Fingerprint;
pub use key::{IDEMPOTENCY_KEY, Key, MAX_KEY_BYTES};
pub use layer::{Idempotency, Idempotent};
pub use reap::reap;
pub use request::{IdempotentRequest, Options};

/// The table of idempotency keys and its functions, as the databases of services with such operations have them.
pub const IDEMPOTENCY_SQL: &str = include_str!("../sql/idempotency.v1.sql");

/// The table of the inbox, as every consumer's database has it. Its text is part of migrations that are applied, so it is
/// frozen with the path in its first line, where it was when they were written.
pub const INBOX_SQL: &str = include_str!("../sql/inbox.v1.sql");
