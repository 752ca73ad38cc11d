//! The monolith, while payments move from it (phase `ramp`): asked for what is not here yet, and told of Stripe's events about
//! payments that are not here.

use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use banyan_tracing_setup::context;
use bytes::{Bytes, BytesMut};
use reqwest::RequestBuilder;
use reqwest::redirect::Policy;
use url::Url;

use crate::config::{FallbackConfig, Phase};

/// Marks what the monolith answered, and a request that was sent on: such a one is never sent on again.
pub static MARK: HeaderName = HeaderName::from_static("x-migration-fallback");

/// Where Stripe's events go there, as here.
const WEBHOOK: &str = "/api/payments/webhooks/stripe";

/// A client of the monolith's; clones share its connections.
#[derive(Clone, Debug)]
pub struct Monolith(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: reqwest::Client,
    url: Url,
    max_body_bytes: usize,
}

/// Why the monolith cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum MonolithError {
    /// `fallback.legacy_url` is missing.
    #[error("fallback.legacy_url must be set in the phase `ramp`")]
    NoUrl,
    /// The HTTP client.
    #[error("the HTTP client for the monolith: {0}")]
    Client(#[from] reqwest::Error),
}

/// An answer of the monolith's, whole.
#[derive(Debug)]
pub struct Answer {
    /// 2xx or 4xx.
    pub status: StatusCode,
    /// The type of the body.
    pub content_type: Option<HeaderValue>,
    /// The body.
    pub body: Bytes,
}

/// Why the monolith gave no answer that counts. Never the body, which is somebody's payment.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It could not be reached, or not in time.
    #[error("the monolith does not answer: {0}")]
    Http(#[from] reqwest::Error),
    /// It answered with this status.
    #[error("the monolith answered with status {0}")]
    Status(StatusCode),
    /// The answer is longer than is read.
    #[error("the monolith's answer is too large")]
    TooLarge,
}

impl Monolith {
    /// The monolith as the configuration names it; `None` in every phase but `ramp`.
    ///
    /// # Errors
    /// [`MonolithError`].
    pub fn new(config: &FallbackConfig) -> Result<Option<Self>, MonolithError> {
        if config.phase != Phase::Ramp {
            return Ok(None);
        }
        let url = config.legacy_url.clone().ok_or(MonolithError::NoUrl)?;
        let client = reqwest::Client::builder()
            .timeout(config.timeout())
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("banyan-payments/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Some(Self(Arc::new(Inner {
            client,
            url,
            max_body_bytes: config.max_body_bytes,
        }))))
    }

    /// What the monolith answers to a read of the caller who is authorized so.
    ///
    /// # Errors
    /// [`NoAnswer`]: nobody knows.
    pub async fn read(&self, uri: &Uri, authorization: &HeaderValue) -> Result<Answer, NoAnswer> {
        let request = self.0.client.get(self.url(uri.path(), uri.query()));
        let mut response = traced(request)
            .header(AUTHORIZATION, authorization)
            .send()
            .await?;
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

    /// Sends an event of Stripe's on as it came, with its signature.
    ///
    /// # Errors
    /// [`NoAnswer`]: the monolith did not take it.
    pub async fn tell(&self, event: Bytes, signature: &str) -> Result<(), NoAnswer> {
        let request = self.0.client.post(self.url(WEBHOOK, None));
        let request = traced(request)
            .header("stripe-signature", signature)
            .header(CONTENT_TYPE, "application/json")
            .body(event);
        let status = request.send().await?.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(NoAnswer::Status(status))
        }
    }

    fn url(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.0.url.clone();
        url.set_path(path);
        url.set_query(query);
        url
    }
}

/// In the trace of the request at hand, and marked.
fn traced(request: RequestBuilder) -> RequestBuilder {
    let trace = context::current();
    let members = [
        ("traceparent", trace.traceparent),
        ("tracestate", trace.tracestate),
    ];
    members
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .fold(request.header(&MARK, "1"), |request, (name, value)| {
            request.header(name, value)
        })
}
