//! What goes back to a client, and Stripe's own way to say that something is wrong.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use serde_json::json;

/// An answer that can be kept and given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: Option<HeaderValue>,
    pub(super) body: Bytes,
    /// Whether Stripe would keep it for its idempotency key.
    pub(super) kept: bool,
}

impl Answer {
    /// An error as Stripe words it.
    pub(super) fn error(status: StatusCode, kind: &str, code: Option<&str>, message: &str) -> Self {
        let mut error = json!({"type": kind, "message": message});
        if let Some(code) = code {
            error["code"] = code.into();
        }
        Self {
            status,
            content_type: Some(HeaderValue::from_static("application/json")),
            body: json!({ "error": error }).to_string().into(),
            kept: false,
        }
    }

    pub(super) fn kept(mut self) -> Self {
        self.kept = true;
        self
    }

    pub(super) fn into_response(self, headers: &[(&'static str, String)]) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        if let Some(content_type) = self.content_type {
            response.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        for (name, value) in headers {
            // A key that came in a header can go out in one.
            if let Ok(value) = HeaderValue::from_str(value) {
                response
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// How a connection ends that gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Hangup {
    /// Closed in order, as when a proxy on the way gives up.
    #[error("the answer is lost on purpose")]
    Close,
    /// Closed with a TCP reset.
    #[error("the connection is reset on purpose")]
    Reset,
}

impl Hangup {
    /// A response that never leaves: the server hangs up when it sees it.
    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(self);
        response
    }
}
