//! The answer that is kept, and given again.

use axum::body::{Body, Bytes};
use axum::http::header::{
    CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED, LOCATION,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

/// The response header of an answer that was given before.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The headers that belong to the answer. The others (`Date`, `Traceparent`, `Set-Cookie`, rate limits …) belong to the
/// one exchange.
pub const KEPT_HEADERS: [HeaderName; 6] = [
    CONTENT_TYPE,
    CONTENT_LANGUAGE,
    CONTENT_LOCATION,
    LOCATION,
    ETAG,
    LAST_MODIFIED,
];

/// Status, headers and body of an answer: what is stored under a key, and what [`IntoResponse`] sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// Of these, [`KEPT_HEADERS`] are stored.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl Answer {
    /// A JSON answer.
    ///
    /// # Errors
    /// What cannot be written as JSON, such as a map whose keys are not text.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Self, serde_json::Error> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self {
            status,
            headers,
            body: serde_json::to_vec(value)?.into(),
        })
    }

    /// The same answer with this header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Reads a whole response.
    pub(crate) async fn of(response: Response) -> Result<Self, axum::Error> {
        let (parts, body) = response.into_parts();
        Ok(Self {
            status: parts.status,
            headers: parts.headers,
            body: axum::body::to_bytes(body, usize::MAX).await?,
        })
    }

    /// The column `response_status`.
    pub(crate) fn stored_status(&self) -> i16 {
        // A status code has three digits.
        i16::try_from(self.status.as_u16()).unwrap_or(i16::MAX)
    }

    /// The column `response_headers`.
    pub(crate) fn stored_headers(&self) -> Json<Map<String, Value>> {
        let kept = KEPT_HEADERS.iter().filter_map(|name| {
            let value = self.headers.get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.into()))
        });
        Json(kept.collect())
    }

    /// Reads the columns `answer_*` of a claim.
    pub(crate) fn of_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let status: i16 = row.try_get("answer_status")?;
        let status = u16::try_from(status)
            .ok()
            .and_then(|code| StatusCode::from_u16(code).ok());
        let stored: Json<Map<String, Value>> = row.try_get("answer_headers")?;
        let mut headers = HeaderMap::with_capacity(stored.len() + 1);
        for (name, value) in &*stored {
            // Written by `stored_headers`, so each is one of its names and values.
            if let Some(name) = KEPT_HEADERS.iter().find(|kept| kept.as_str() == name)
                && let Some(Ok(value)) = value.as_str().map(HeaderValue::from_str)
            {
                headers.insert(name, value);
            }
        }
        let body: Vec<u8> = row.try_get("answer_body")?;
        Ok(Self {
            status: status.ok_or_else(|| sqlx::Error::Decode("answer_status is no HTTP status".into()))?,
            headers,
            body: body.into(),
        })
    }

    /// The answer once more, marked as such.
    pub(crate) fn replayed(self) -> Response {
        self.header(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"))
            .into_response()
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
