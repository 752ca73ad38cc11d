//! Read new, fall back to old: while the domain is in `ramp`, a payment that is not here yet is asked of the monolith.
//!
//! The copy of the monolith's rows may lag, so in `ramp` "there is none" is only known once the monolith has said so too. The caller's own
//! `Authorization` is passed on: the monolith decides what the caller may see. In every other phase the monolith is not asked. Nothing
//! deletes a payment, so nothing that was deleted here can come back this way; payment methods, which can be detached, are not asked for.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use banyan_service_kit::Problem;
use banyan_service_kit::problem::UNAVAILABLE;
use banyan_tracing_setup::context;
use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use url::Url;

use crate::config::{FallbackConfig, Phase};

/// Marks what the monolith answered, and a request that was sent on: such a one is never sent on again.
static MARK: HeaderName = HeaderName::from_static("x-migration-fallback");

/// The monolith, to be asked for what is not here.
#[derive(Clone, Debug)]
pub struct Fallback(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: reqwest::Client,
    legacy_url: Url,
    max_body_bytes: usize,
}

/// Why the monolith cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum FallbackError {
    /// `fallback.legacy_url` is missing.
    #[error("fallback.legacy_url must be set in the phase `ramp`")]
    NoUrl,
    /// The HTTP client.
    #[error("the HTTP client for the monolith: {0}")]
    Client(#[from] reqwest::Error),
}

/// An answer of the monolith's, whole.
struct Answer {
    status: StatusCode,
    content_type: Option<HeaderValue>,
    body: Bytes,
}

/// Why the monolith gave no answer that counts. Never the body, which is somebody's payment.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("{}", .0)]
    Http(#[from] reqwest::Error),
    #[error("status {0}")]
    Status(StatusCode),
    #[error("the answer is too large")]
    TooLarge,
}

impl Fallback {
    /// The monolith as the configuration names it; `None` in every phase but `ramp`.
    ///
    /// # Errors
    /// [`FallbackError`].
    pub fn new(config: &FallbackConfig) -> Result<Option<Self>, FallbackError> {
        if config.phase != Phase::Ramp {
            return Ok(None);
        }
        let legacy_url = config.legacy_url.clone().ok_or(FallbackError::NoUrl)?;
        let client = reqwest::Client::builder()
            .timeout(config.timeout())
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("banyan-payments/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Some(Self(Arc::new(Inner {
            client,
            legacy_url,
            max_body_bytes: config.max_body_bytes,
        }))))
    }

    /// The operations, with the monolith behind those that may be asked of it.
    pub fn behind(self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self, ask_where_missing))
    }

    async fn ask(&self, uri: &Uri, authorization: &HeaderValue) -> Result<Answer, NoAnswer> {
        let mut url = self.0.legacy_url.clone();
        url.set_path(uri.path());
        url.set_query(uri.query());
        let mut request = self.0.client.get(url).header(&MARK, "1");
        let trace = context::current();
        for (name, value) in [
            ("traceparent", trace.traceparent),
            ("tracestate", trace.tracestate),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let mut response = request.header(AUTHORIZATION, authorization).send().await?;
        let status = response.status();
        if !(status.is_success() || status.is_client_error()) {
            return Err(NoAnswer::Status(status));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.0.max_body_bytes {
                return Err(NoAnswer::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            content_type: response.headers().get(CONTENT_TYPE).cloned(),
            body: body.freeze(),
        })
    }
}

/// The operation, where the monolith may be asked for it.
fn operation(method: &Method, path: Option<&MatchedPath>) -> Option<&'static str> {
    match path?.as_str() {
        "/api/payments/{id}" if method == Method::GET => Some("getPayment"),
        "/api/payments/{id}/refunds" if method == Method::GET => Some("listRefunds"),
        _ => None,
    }
}

async fn ask_where_missing(State(fallback): State<Fallback>, request: Request, next: Next) -> Response {
    let wanted = operation(request.method(), request.extensions().get::<MatchedPath>());
    let uri = request.uri().clone();
    let authorization = request.headers().get(AUTHORIZATION).cloned();
    let was_sent_on = request.headers().contains_key(&MARK);
    let here = next.run(request).await;
    // The caller is known by then: a request without a good token was answered with 401.
    let (Some(operation), Some(authorization), StatusCode::NOT_FOUND) =
        (wanted, authorization, here.status())
    else {
        return here;
    };
    if was_sent_on {
        count(operation, "loop");
        return here;
    }
    let started = Instant::now();
    let answer = fallback.ask(&uri, &authorization).await;
    metrics::histogram!("banyan_payments_fallback_duration_seconds", "operation" => operation)
        .record(started.elapsed());
    match answer {
        Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
            count(operation, "miss");
            here
        }
        Ok(answer) => {
            count(
                operation,
                if answer.status.is_success() {
                    "hit"
                } else {
                    "refused"
                },
            );
            answer.into_response()
        }
        Err(error) => {
            count(operation, "error");
            tracing::warn!(operation, error = %error, "the monolith was asked and did not answer");
            // It may have the payment: to say that there is none could be a lie.
            Problem::new(&UNAVAILABLE)
                .retry_after(1)
                .detail("It is not known yet whether there is such a payment. Try again in a moment.")
                .into_response()
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        headers.insert(MARK.clone(), HeaderValue::from_static("1"));
        (self.status, headers, Body::from(self.body)).into_response()
    }
}

fn count(operation: &'static str, outcome: &'static str) {
    metrics::counter!("banyan_payments_fallback_total", "operation" => operation, "outcome" => outcome)
        .increment(1);
}
