//! One request, and what its answer must be.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::{Answer, Api, Difference};

/// A request to be awaited. Whatever is not expected of its answer must still be as documented.
#[derive(Debug)]
#[must_use = "a call does nothing until it is awaited"]
pub struct Call {
    pub(super) api: Api,
    pub(super) method: Method,
    pub(super) path: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    pub(super) expected: Expected,
}

/// What is expected of an answer.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Any documented one where there are none.
    pub(super) statuses: Vec<u16>,
    /// The problem's slug.
    pub(super) slug: Option<String>,
    /// The fields that `errors` names.
    pub(super) fields: Option<Vec<String>>,
}

impl Call {
    pub(super) fn new(api: Api, method: Method, path: &str) -> Self {
        Self {
            api,
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: None,
            expected: Expected::default(),
        }
    }

    /// Adds a header. A value that cannot be sent is left out.
    pub(crate) fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        if let Ok(value) = HeaderValue::from_bytes(value.as_ref()) {
            self.headers.append(HeaderName::from_static(name), value);
        }
        self
    }

    /// Sends an access token.
    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Sends an idempotency key.
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Sends a JSON value.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.json_text(body.to_string())
    }

    /// Sends a JSON text as it is.
    pub(crate) fn json_text(self, body: impl Into<Vec<u8>>) -> Self {
        self.body("application/json", body)
    }

    /// Sends bytes of a media type; without `Content-Type` where it is empty.
    pub(crate) fn body(mut self, media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        if !media_type.is_empty() {
            self.headers
                .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        self.body = Some(body.into());
        self
    }

    /// The answer must have this status.
    pub(crate) fn expect(self, status: u16) -> Self {
        self.expect_one_of(&[status])
    }

    /// The answer must have one of these statuses.
    pub(crate) fn expect_one_of(mut self, statuses: &[u16]) -> Self {
        self.expected.statuses = statuses.to_vec();
        self
    }

    /// The answer must be this problem.
    pub(crate) fn problem(mut self, status: u16, slug: &str) -> Self {
        self.expected.slug = Some(slug.to_owned());
        self.expect(status)
    }

    /// The answer must be 422 `invalid` and name these fields and no others.
    pub(crate) fn invalid(mut self, fields: &[&str]) -> Self {
        let mut fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        fields.sort();
        self.expected.fields = Some(fields);
        self.problem(422, "invalid")
    }

    async fn send(self) -> Result<Answer, Difference> {
        let shared = &self.api.shared;
        let url = shared.inputs.url(&self.path);
        let mut request = shared
            .client
            .request(self.method.clone(), url)
            .headers(self.headers.clone());
        request = request.header("x-forwarded-for", &self.api.address);
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        let what = format!("{} {}", self.method, self.path);
        let no_answer =
            |error: reqwest::Error| Difference::new(format!("{what}: no answer: {:?}", error.without_url()));
        let response = request.send().await.map_err(no_answer)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.map_err(no_answer)?;
        let answer = Answer::new(what, status, headers, body);
        answer.check(&self)?;
        Ok(answer)
    }
}

impl IntoFuture for Call {
    type Output = Result<Answer, Difference>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
