//! The tower layer.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, FromRequestParts as _, OriginalUri, Request};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use banyan_service_kit::Problem;
use banyan_service_kit::auth::Caller;
use banyan_service_kit::problem::{BODY_TOO_LARGE, UNAVAILABLE};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::PgPool;
use tokio_util::task::TaskTracker;
use tower::{Layer, Service};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::answer::Answer;
use crate::claim::{ClaimError, Claimed};
use crate::fingerprint::Fingerprint;
use crate::key::Key;
use crate::request::{IdempotentRequest, Options};

/// Makes the operations of the routes it is laid around idempotent by key; see [the crate](crate).
#[derive(Debug, Clone)]
pub struct Idempotency(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Where the layer claims; `None` when the handler does.
    pool: Option<PgPool>,
    tasks: TaskTracker,
    new_id: fn() -> Uuid,
    options: Options,
}

impl Idempotency {
    /// The layer claims the key before the handler runs, and stores its answer, unless the handler did so in its own
    /// transaction ([`Claimed::finish`]). `tasks` are those that a shutdown waits for; `new_id` makes a UUIDv7.
    pub fn by_layer(pool: PgPool, tasks: TaskTracker, new_id: fn() -> Uuid, options: Options) -> Self {
        Self(Arc::new(Shared {
            pool: Some(pool),
            tasks,
            new_id,
            options,
        }))
    }

    /// The layer reads the key and hands the handler an [`IdempotentRequest`], whose claim and answer are part of the
    /// handler's own statements. Adds no round trip, and leaves the body alone.
    pub fn by_handler(tasks: TaskTracker, new_id: fn() -> Uuid, options: Options) -> Self {
        Self(Arc::new(Shared {
            pool: None,
            tasks,
            new_id,
            options,
        }))
    }
}

impl<S> Layer<S> for Idempotency {
    type Service = Idempotent<S>;

    fn layer(&self, inner: S) -> Idempotent<S> {
        Idempotent {
            shared: Arc::clone(&self.0),
            inner,
        }
    }
}

/// The service that [`Idempotency`] makes.
#[derive(Debug, Clone)]
pub struct Idempotent<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S> Service<Request> for Idempotent<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that was made ready is the one to call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        // What is created is created by POST. Other methods of the same address need no key, or are not there: then the answer is 405.
        if request.method() != Method::POST {
            return Box::pin(inner.call(request));
        }
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let answered = shared.answer(inner, request).await;
            Ok(answered.unwrap_or_else(IntoResponse::into_response))
        })
    }
}

impl Shared {
    /// Who is asking comes first, then the key, then the body: the order in which a client mends its request.
    async fn answer<S>(self: Arc<Self>, mut inner: S, request: Request) -> Result<Response, Problem>
    where
        S: Service<Request, Response = Response, Error = Infallible> + Send + 'static,
        S::Future: Send,
    {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, &()).await?;
        let keyed = IdempotentRequest {
            key: Key::of(&parts.headers)?,
            id: (self.new_id)(),
            scope: self.options.scope(uri(&parts).path()),
            owner: caller.user_id.to_string(),
            options: self.options,
        };
        // A token is verified once: behind the layer, take `Extension<Caller>`.
        parts.extensions.insert(caller);
        if self.pool.is_none() {
            parts.extensions.insert(keyed);
            let request = Request::from_parts(parts, body);
            return self
                .on_its_own(async move { infallible(inner.call(request).await) })
                .await;
        }
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), &())
            .await
            .map_err(|rejection| unreadable(rejection.status()))?;
        let target = uri(&parts).path_and_query().map_or("/", |target| target.as_str());
        let fingerprint = Fingerprint::of_request(&parts.method, target, &body);
        let request = Request::from_parts(parts, body.into());
        let shared = Arc::clone(&self);
        self.on_its_own(async move { shared.run(inner, request, keyed, fingerprint).await })
            .await
    }

    /// Runs the request on a task: hyper drops a handler's future when the client hangs up, and half of a charge is worse
    /// than none.
    async fn on_its_own(
        &self,
        work: impl Future<Output = Response> + Send + 'static,
    ) -> Result<Response, Problem> {
        match self.tasks.spawn(work.in_current_span()).await {
            Ok(response) => Ok(response),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => Err(Problem::new(&UNAVAILABLE).retry_after(1)),
        }
    }

    /// Claims, runs the handler, and sees to its answer.
    async fn run<S>(
        &self,
        mut inner: S,
        mut request: Request,
        keyed: IdempotentRequest,
        fingerprint: Fingerprint,
    ) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let claim = async {
            let mut connection = self.connection().await?;
            keyed.claim(&mut connection, &fingerprint).await
        };
        let claimed = match claim.await {
            Ok(Ok(claimed)) => claimed,
            Ok(Err(refusal)) => return refusal.into_response(),
            Err(error) => return Problem::database(&error).into_response(),
        };
        request.extensions_mut().insert(claimed.clone());
        let started = Instant::now();
        let ended = AssertUnwindSafe(inner.call(request)).catch_unwind().await;
        metrics::histogram!("banyan_idempotency_handling_seconds", "operation" => self.options.operation)
            .record(started.elapsed());
        match ended {
            Ok(response) => self.conclude(&claimed, infallible(response)).await,
            Err(panic) => {
                self.give_up(&claimed, Fate::Suspended).await;
                resume_unwind(panic)
            }
        }
    }

    async fn conclude(&self, claimed: &Claimed, response: Response) -> Response {
        match Fate::of(response.status()) {
            Fate::Final if claimed.is_finished() => response,
            Fate::Final => match Answer::of(response).await {
                Ok(answer) => {
                    self.store(claimed, &answer).await;
                    answer.into_response()
                }
                Err(error) => {
                    self.give_up(claimed, Fate::Suspended).await;
                    Problem::internal(&error).into_response()
                }
            },
            fate => {
                self.give_up(claimed, fate).await;
                response
            }
        }
    }

    /// Stores what the handler answered. The effect is there already, so whatever fails here, the client gets the answer.
    async fn store(&self, claimed: &Claimed, answer: &Answer) {
        let shortened = (answer.body.len() > self.options.max_answer_bytes).then(|| {
            tracing::error!(
                operation = self.options.operation,
                bytes = answer.body.len(),
                "an answer is too large to be stored; its repetitions have no body"
            );
            Answer {
                body: Bytes::new(),
                ..answer.clone()
            }
        });
        let stored = async {
            let mut connection = self.connection().await?;
            claimed
                .finish(&mut connection, shortened.as_ref().unwrap_or(answer))
                .await
        };
        match stored.await {
            Ok(()) => {}
            Err(ClaimError::Lost) => {
                tracing::error!(
                    operation = self.options.operation,
                    "an answer came after its lease had ended"
                );
            }
            Err(ClaimError::Database(error)) => {
                tracing::error!(operation = self.options.operation, %error, "an answer was not stored");
            }
        }
    }

    /// Where it fails, the lease ends by itself.
    async fn give_up(&self, claimed: &Claimed, fate: Fate) {
        let given_up = async {
            let mut connection = self.connection().await?;
            match fate {
                Fate::Forgotten => claimed.forget(&mut connection).await,
                Fate::Suspended | Fate::Final => claimed.suspend(&mut connection).await,
            }
        };
        if let Err(error) = given_up.await {
            tracing::warn!(operation = self.options.operation, %error, "a claim was not given up");
        }
    }

    async fn connection(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, sqlx::Error> {
        match &self.pool {
            Some(pool) => pool.acquire().await,
            None => Err(sqlx::Error::PoolClosed),
        }
    }
}

/// What becomes of a key by the status of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The answer is given to every repetition.
    Final,
    /// The outcome is not known: the next request with the key goes on.
    Suspended,
    /// Nothing was done: the key is free for a mended request.
    Forgotten,
}

impl Fate {
    /// Stripe stores a 500 as well, because it [cannot tell](https://docs.stripe.com/api/idempotent_requests) what had been
    /// done; recovery points can. Like Stripe, what was refused before anything began is not stored.
    fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            202 | 500.. => Self::Suspended,
            // A declined payment is an outcome, and the one 4xx that comes after something was done.
            402 => Self::Final,
            400..=499 => Self::Forgotten,
            _ => Self::Final,
        }
    }
}

/// The address that the client asked for, also within a nested router.
fn uri(parts: &Parts) -> &Uri {
    parts.extensions.get().map_or(&parts.uri, |OriginalUri(uri)| uri)
}

fn unreadable(status: StatusCode) -> Problem {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(&BODY_TOO_LARGE)
    } else {
        Problem::bad_request("the body could not be read to its end")
    }
}

fn infallible(result: Result<Response, Infallible>) -> Response {
    match result {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_decides_what_becomes_of_the_key() {
        for (status, fate) in [
            (200, Fate::Final),
            (201, Fate::Final),
            (202, Fate::Suspended),
            (204, Fate::Final),
            (303, Fate::Final),
            (400, Fate::Forgotten),
            (402, Fate::Final),
            (404, Fate::Forgotten),
            (409, Fate::Forgotten),
            (415, Fate::Forgotten),
            (422, Fate::Forgotten),
            (429, Fate::Forgotten),
            (500, Fate::Suspended),
            (503, Fate::Suspended),
        ] {
            assert_eq!(Fate::of(StatusCode::from_u16(status).unwrap()), fate, "{status}");
        }
    }
}
