//! One request, and what came back.

use std::net::SocketAddr;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method};
use banyan_test_support::client;
use serde_json::{Value, json};

/// A request that is put together.
#[derive(Clone)]
pub(crate) struct Call {
    client: reqwest::Client,
    address: SocketAddr,
    method: Method,
    path: String,
    token: Option<String>,
    key: Option<HeaderValue>,
    content_type: &'static str,
    body: String,
}

impl Call {
    pub(crate) fn new(address: SocketAddr, token: String) -> Self {
        Self {
            client: client(),
            address,
            method: Method::POST,
            path: "/things".into(),
            token: Some(token),
            key: Some(HeaderValue::from_static("key-1")),
            content_type: "application/json",
            body: json!({"text": "a"}).to_string(),
        }
    }

    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn path(mut self, path: &str) -> Self {
        self.path = path.into();
        self
    }

    pub(crate) fn token(mut self, token: Option<String>) -> Self {
        self.token = token;
        self
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        self.key = Some(HeaderValue::from_bytes(key.as_bytes()).unwrap());
        self
    }

    pub(crate) fn no_key(mut self) -> Self {
        self.key = None;
        self
    }

    pub(crate) fn content_type(mut self, content_type: &'static str) -> Self {
        self.content_type = content_type;
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.body(&json!({"text": text}).to_string())
    }

    /// The bytes of the request on the wire.
    pub(crate) fn raw(&self) -> Vec<u8> {
        let key = self.key.as_ref().unwrap().to_str().unwrap();
        format!(
            "POST {} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
            self.path,
            self.token.as_deref().unwrap(),
            self.body.len(),
            self.body
        )
        .into_bytes()
    }

    pub(crate) async fn try_send(&self) -> Result<Got, reqwest::Error> {
        let mut request = self
            .client
            .request(
                self.method.clone(),
                format!("http://{}{}", self.address, self.path),
            )
            .header("content-type", self.content_type)
            .body(self.body.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = &self.key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await?;
        Ok(Got {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?,
        })
    }

    pub(crate) async fn send(&self) -> Got {
        self.try_send().await.unwrap()
    }

    /// Sends it on a task.
    pub(crate) fn begin(&self) -> tokio::task::JoinHandle<Got> {
        let call = self.clone();
        tokio::spawn(async move { call.send().await })
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn replayed(&self) -> bool {
        self.header("idempotent-replayed") == Some("true")
    }

    /// The status and what was [`said`](super::said).
    pub(crate) fn said(&self) -> (u16, Value) {
        (self.status, self.json()["said"].clone())
    }

    /// The status and the kind of problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let kind = self.json()["type"].as_str().unwrap().to_owned();
        (self.status, kind.replace("urn:banyan:problem:", ""))
    }
}
