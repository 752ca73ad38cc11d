//! Errors as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem documents.
//!
//! Every error answer of a service is `application/problem+json` with `type`, `title`, `status`, `detail` and
//! `traceId`. A `type` is `urn:banyan:problem:<slug>`; it is what a client may switch on and never changes its
//! meaning. The kinds that every service shares are in [`CATALOGUE`]; a service adds its own as `static`s of [`Kind`].

use std::borrow::Cow;

use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// One kind of problem: what `type`, `title` and `status` say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The last part of the `type` URN.
    pub slug: &'static str,
    /// The HTTP status code.
    pub status: u16,
    /// A short summary that is the same for every occurrence.
    pub title: &'static str,
    /// When it is answered and what the client can do; for the documentation.
    pub meaning: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:literal, $title:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub static $name: Kind = Kind { slug: $slug, status: $status, title: $title, meaning: $meaning };
        )*
        /// The kinds that every service shares, in order of status.
        pub static CATALOGUE: &[&Kind] = &[$(&$name),*];
    };
}

kinds! {
    BAD_REQUEST = "bad-request", 400, "Bad request",
        "The request cannot be read: malformed JSON, a bad query parameter or path. Mend the request.";
    UNAUTHENTICATED = "unauthenticated", 401, "Not authenticated",
        "No bearer token, or one that is expired, malformed or signed by an unknown key. Get a new token.";
    FORBIDDEN = "forbidden", 403, "Forbidden",
        "The caller is known and may not do this.";
    NOT_FOUND = "not-found", 404, "Not found",
        "There is nothing at this address that the caller may see.";
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "Method not allowed",
        "The address exists, the method does not; `Allow` lists those that do.";
    NOT_ACCEPTABLE = "not-acceptable", 406, "Not acceptable",
        "No representation that the `Accept` header asks for exists.";
    REQUEST_TIMEOUT = "request-timeout", 408, "Request timeout",
        "The request did not arrive completely in time. Send it again.";
    CONFLICT = "conflict", 409, "Conflict",
        "The request contradicts the present state. Read it again, then decide.";
    GONE = "gone", 410, "Gone",
        "What was at this address was removed.";
    BODY_TOO_LARGE = "body-too-large", 413, "Body too large",
        "The body is larger than the service accepts; `detail` names the limit.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", 415, "Unsupported media type",
        "The body is not `application/json`.";
    MISDIRECTED = "misdirected", 421, "Misdirected request",
        "Another system serves this user now. The gateway hands the request over; whoever sees this may send it again.";
    INVALID = "invalid", 422, "Invalid content",
        "The body is well-formed and its content is not valid; `errors` names the fields.";
    TOO_MANY_REQUESTS = "too-many-requests", 429, "Too many requests",
        "The caller asks too often. Wait for `Retry-After` seconds.";
    INTERNAL = "internal", 500, "Internal error",
        "A fault of the service. `traceId` finds it in the logs; nothing else is told.";
    UNAVAILABLE = "unavailable", 503, "Service unavailable",
        "Something that the service needs does not answer. Try again after `Retry-After` seconds.";
    TIMEOUT = "timeout", 503, "Timed out",
        "The service did not finish in time; what it began may still complete. Safe to retry only with the same `Idempotency-Key`.";
}

impl Kind {
    /// The `type` member: `urn:banyan:problem:<slug>`.
    pub fn urn(&self) -> String {
        format!("urn:banyan:problem:{}", self.slug)
    }

    /// The kind of the catalogue that an answer with this status and no document of its own gets.
    pub fn for_status(status: StatusCode) -> &'static Self {
        match CATALOGUE.iter().find(|kind| kind.status == status.as_u16()) {
            Some(kind) => kind,
            None if status.is_client_error() => &BAD_REQUEST,
            None => &INTERNAL,
        }
    }
}

/// A field that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The path of the field, such as `items[2].amount`; empty for the whole body.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// The body of a problem answer; in OpenAPI documents its name is `Problem`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `urn:banyan:problem:<slug>`; stable, made for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:banyan:problem:not-found")]
    pub type_: String,
    /// The same text for every problem of this type.
    #[schema(example = "Not found")]
    pub title: String,
    /// The HTTP status code.
    #[schema(example = 404)]
    pub status: u16,
    /// What happened this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The trace that this request belongs to, 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The fields at fault, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// An error answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} {}{}", .0.kind.status, .0.kind.title, .0.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default())]
pub struct Problem(Box<Content>);

/// In a box, because a `Result<_, Problem>` is what most functions of a service return.
#[derive(Debug, Clone)]
struct Content {
    kind: &'static Kind,
    detail: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    headers: HeaderMap,
}

impl Problem {
    /// A problem of this kind, without a detail.
    pub fn new(kind: &'static Kind) -> Self {
        Self(Box::new(Content {
            kind,
            detail: None,
            errors: Vec::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// Says what happened this time. Never personal data, never a secret.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Names a field at fault.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.errors.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Tells the client when to try again, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// 400 with this detail.
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&BAD_REQUEST).detail(detail)
    }

    /// 401 with the challenge of [RFC 6750](https://www.rfc-editor.org/rfc/rfc6750#section-3); `token_error` is
    /// true when a token was sent and was not good.
    pub fn unauthenticated(detail: &'static str, token_error: bool) -> Self {
        let challenge = if token_error {
            r#"Bearer error="invalid_token""#
        } else {
            "Bearer"
        };
        Self::new(&UNAUTHENTICATED)
            .detail(detail)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// 404 with this detail.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(&NOT_FOUND).detail(detail)
    }

    /// 422 that names one field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(&INVALID).field(field, message)
    }

    /// 500 that tells nothing; the error goes to the log here, once, with the trace id.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %Chain(error), "request failed");
        Self::new(&INTERNAL)
    }

    /// 503 with `Retry-After: 1`; the cause goes to the log.
    pub fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::warn!(error = %Chain(error), "request failed: a dependency is away");
        Self::new(&UNAVAILABLE).retry_after(1)
    }

    /// The right problem for a database error: 503 while the database is away, 421 where another system acts for the user, 500 for
    /// anything else.
    pub fn database(error: &sqlx::Error) -> Self {
        match banyan_db::classify(error) {
            banyan_db::ErrorClass::Misdirected => Self::new(&MISDIRECTED),
            banyan_db::ErrorClass::Unavailable => Self::unavailable(error),
            _ => Self::internal(error),
        }
    }

    /// The kind of this problem.
    pub fn kind(&self) -> &'static Kind {
        self.0.kind
    }

    /// The status code.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::database(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let Content {
            kind,
            detail,
            errors,
            headers,
        } = *self.0;
        let body = ProblemBody {
            type_: kind.urn(),
            title: kind.title.to_owned(),
            status: kind.status,
            detail: detail.map(Cow::into_owned),
            trace_id: banyan_tracing_setup::context::trace_id(&tracing::Span::current()),
            errors,
        };
        // A struct of strings and numbers always serialises.
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, headers, bytes).into_response();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response
    }
}

/// An error with its causes on one line.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
