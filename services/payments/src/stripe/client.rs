//! One call: tries, pauses and what is known in the end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use banyan_fail_points::fail_points;
use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, redirect::Policy};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::breaker::Breaker;
use super::classify::classify;
use super::config::StripeConfig;
use super::error::{Answer, NotSent, StripeError, Unknown, UnknownReason};
use super::keys::IdempotencyKey;
use super::request::Request;
use super::retry::{Advice, Jitter, pause};
use super::telemetry;
use super::wire::header;

/// More than a hundred objects of any kind take.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// Shorter than the time after which servers close idle connections: a request on one that is just closing has an unknown outcome.
const IDLE_CONNECTION: Duration = Duration::from_secs(20);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");

/// A client of Stripe's API; clones share connections and circuit breaker.
///
/// Every method takes the instant by which its caller wants to have an answer: no try begins after it, and one that is under way
/// is given up then, with an unknown outcome if it had begun. To the circuit breaker that is a Stripe that does not answer, so
/// deadlines are best above `timeout_ms`. No transaction may be open across a call.
#[derive(Clone)]
pub struct StripeClient {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    config: StripeConfig,
    headers: HeaderMap,
    breaker: Breaker,
    jitter: Jitter,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The key is not one of a server.
    #[error("[stripe] secret_key must begin with sk_ or rk_ and be printable ASCII")]
    SecretKey,
    /// The version cannot stand in a header.
    #[error("[stripe] api_version must be printable ASCII")]
    ApiVersion,
    /// The HTTP client.
    #[error("the HTTP client for Stripe: {0}")]
    Client(#[from] reqwest::Error),
}

/// An answer of any status.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// A try that gave no result.
struct Failure {
    error: StripeError,
    advice: Advice,
}

impl From<StripeError> for Failure {
    fn from(error: StripeError) -> Self {
        Self {
            error,
            advice: Advice::default(),
        }
    }
}

impl StripeClient {
    /// A client; connects when it is used. `jitter` is [`super::full_jitter`] but in tests.
    ///
    /// # Errors
    /// [`SetupError`] names what is wrong with the configuration.
    pub fn new(config: StripeConfig, jitter: Jitter) -> Result<Self, SetupError> {
        // No proxy from the environment: with one between, a failed connection would not prove that nothing was sent.
        let http = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout())
            .pool_idle_timeout(IDLE_CONNECTION)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("banyan-payments/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                headers: standing_headers(&config)?,
                breaker: Breaker::new(&config.breaker),
                config,
                jitter,
            }),
        })
    }

    /// Whether a call made now would be let through by the circuit breaker: asked before work is begun that would only come to
    /// wait for Stripe.
    pub fn is_available(&self) -> bool {
        self.inner.breaker.is_passable(Instant::now())
    }

    /// Whether this is Stripe and no stand-in.
    pub fn is_stripe_itself(&self) -> bool {
        self.inner.config.base_url.is_stripe_itself()
    }

    /// Asks until there is an answer that counts.
    pub(super) async fn call<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<T, StripeError> {
        if request.path.has_bad_id() {
            return Err(StripeError::no_such_id());
        }
        let mut earlier = None;
        let mut retries = 0;
        loop {
            let failure = match self.attempt(&request, retries).await {
                Ok(result) => return Ok(result),
                Err(failure) => failure,
            };
            let pause = pause(
                &self.inner.config.retry,
                self.inner.jitter,
                retries,
                &failure.error,
                failure.advice,
            );
            let error = failure.error.after(earlier.take());
            let Some(pause) = pause.filter(|pause| Instant::now() + *pause < request.deadline) else {
                return Err(error);
            };
            tracing::debug!(operation = request.operation, %error, ?pause, "Stripe is asked again");
            tokio::time::sleep(pause).await;
            earlier = Some(error);
            retries += 1;
        }
    }

    /// [`StripeClient::call`] for an object by its id; `None` when Stripe has none.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        request: Request<'_>,
    ) -> Result<Option<T>, StripeError> {
        match self.call(request).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One try, with its span, its metrics and its word to the circuit breaker.
    async fn attempt<T: DeserializeOwned>(&self, request: &Request<'_>, retries: u32) -> Result<T, Failure> {
        let started = Instant::now();
        let left = request.deadline.saturating_duration_since(started);
        if left.is_zero() {
            telemetry::count_not_sent(request.operation);
            return Err(StripeError::NotSent(NotSent::DeadlinePassed).into());
        }
        let Ok(permit) = self.inner.breaker.admit(started) else {
            telemetry::count_not_sent(request.operation);
            return Err(StripeError::NotSent(NotSent::BreakerOpen).into());
        };
        let base = &self.inner.config.base_url;
        let span = telemetry::span(&request.method, &request.path.template(), base, retries);
        let exchange = self.exchange(request, left.min(self.inner.config.timeout()));
        let reply = fail_points!(
            format!("stripe.{}", request.operation),
            exchange.instrument(span.clone()).await
        );
        let result = reply.map_err(Failure::from).and_then(|reply| {
            telemetry::note_reply(&span, reply.status, &reply.headers);
            read(&reply)
        });
        match &result {
            Err(failure) if is_outage(failure) => permit.failed(Instant::now()),
            _ => permit.answered(),
        }
        let error = result.as_ref().err().map(|failure| &failure.error);
        telemetry::end(&span, request.operation, error, started.elapsed());
        result
    }

    /// The request and its answer, as they are.
    async fn exchange(&self, request: &Request<'_>, timeout: Duration) -> Result<Reply, StripeError> {
        let mut url = request.path.url(&self.inner.config.base_url);
        let mut headers = self.inner.headers.clone();
        banyan_tracing_setup::http::inject(&mut headers);
        let parameters = request.parameters.encode();
        let body = if request.method == Method::GET {
            url.set_query(Some(parameters.as_str()).filter(|query| !query.is_empty()));
            None
        } else {
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
            Some(parameters)
        };
        if let Some(key) = request.key.and_then(IdempotencyKey::header) {
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        let mut outgoing = self
            .inner
            .http
            .request(request.method.clone(), url)
            .headers(headers)
            .timeout(timeout);
        if let Some(body) = body {
            outgoing = outgoing.body(body);
        }
        let mut response = outgoing.send().await.map_err(|error| transport(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| transport(&error))? {
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err(unreadable(status, &headers));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status,
            headers,
            body: body.freeze(),
        })
    }
}

// Written by hand: the headers hold the key.
impl fmt::Debug for StripeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeClient")
            .field("base_url", &self.inner.config.base_url)
            .finish_non_exhaustive()
    }
}

/// The headers that every request has.
fn standing_headers(config: &StripeConfig) -> Result<HeaderMap, SetupError> {
    let key = config.secret_key.expose_secret();
    if !(key.starts_with("sk_") || key.starts_with("rk_")) {
        return Err(SetupError::SecretKey);
    }
    let mut authorization =
        HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| SetupError::SecretKey)?;
    authorization.set_sensitive(true);
    let version = HeaderValue::from_str(&config.api_version).map_err(|_| SetupError::ApiVersion)?;
    Ok(HeaderMap::from_iter([
        (AUTHORIZATION, authorization),
        (STRIPE_VERSION, version),
    ]))
}

/// What a failed exchange means. Only a connection that never stood proves that nothing was sent: reqwest reports those apart
/// from a connection that was lost in use, and a timeout of the whole request may strike at any moment of it.
fn transport(error: &reqwest::Error) -> StripeError {
    if error.is_connect() {
        StripeError::NotSent(NotSent::NoConnection)
    } else if error.is_timeout() {
        StripeError::no_answer(UnknownReason::Timeout)
    } else {
        StripeError::no_answer(UnknownReason::ConnectionLost)
    }
}

fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, Failure> {
    let error = if reply.status.is_success() {
        match serde_json::from_slice(&reply.body) {
            Ok(result) => return Ok(result),
            // The error's text quotes the answer.
            Err(_) => unreadable(reply.status, &reply.headers),
        }
    } else {
        classify(reply.status, &reply.headers, &reply.body)
    };
    Err(Failure {
        error,
        advice: Advice::of(&reply.headers),
    })
}

fn unreadable(status: StatusCode, headers: &HeaderMap) -> StripeError {
    StripeError::Unknown(Unknown {
        reason: UnknownReason::Unreadable,
        answer: Some(Answer {
            status: status.as_u16(),
            code: None,
            request_id: header(headers, "request-id"),
        }),
    })
}

/// Whether Stripe seems to be away. A 5xx that Stripe kept for the key and gives again is a proof of life.
fn is_outage(failure: &Failure) -> bool {
    match &failure.error {
        StripeError::NotSent(NotSent::NoConnection) => true,
        StripeError::Unknown(unknown) => match unknown.reason {
            UnknownReason::Timeout | UnknownReason::ConnectionLost => true,
            UnknownReason::ServerError => !failure.advice.replayed,
            UnknownReason::Conflict | UnknownReason::KeyReused | UnknownReason::Unreadable => false,
        },
        _ => false,
    }
}
