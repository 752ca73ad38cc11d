//! Read new, fall back to old: while the domain is in `ramp`, a payment that is not here yet is asked of the monolith.
//!
//! The copy of the monolith's rows may lag, so in `ramp` "there is none" is only known once the monolith has said so too. The caller's own
//! `Authorization` is passed on: the monolith decides what the caller may see. In every other phase the monolith is not asked. Nothing
//! deletes a payment, so nothing that was deleted here can come back this way; payment methods, which can be detached, are not asked for.

use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use banyan_service_kit::Problem;
use banyan_service_kit::problem::UNAVAILABLE;

use crate::monolith::{Answer, MARK, Monolith};

/// The operations, with the monolith behind those that may be asked of it.
pub fn with_fallback(router: Router, monolith: Monolith) -> Router {
    router.layer(middleware::from_fn_with_state(monolith, ask_where_missing))
}

/// The operation, where the monolith may be asked for it.
fn operation(method: &Method, path: Option<&MatchedPath>) -> Option<&'static str> {
    match path?.as_str() {
        "/api/payments/{id}" if method == Method::GET => Some("getPayment"),
        "/api/payments/{id}/refunds" if method == Method::GET => Some("listRefunds"),
        _ => None,
    }
}

async fn ask_where_missing(State(monolith): State<Monolith>, request: Request, next: Next) -> Response {
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
    let answer = monolith.read(&uri, &authorization).await;
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
            of_monolith(answer)
        }
        Err(error) => {
            count(operation, "error");
            tracing::warn!(operation, %error, "a payment was not found out about");
            // It may have the payment: to say that there is none could be a lie.
            Problem::new(&UNAVAILABLE)
                .retry_after(1)
                .detail("It is not known yet whether there is such a payment. Try again in a moment.")
                .into_response()
        }
    }
}

fn of_monolith(answer: Answer) -> Response {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = answer.content_type {
        headers.insert(CONTENT_TYPE, content_type);
    }
    headers.insert(MARK.clone(), HeaderValue::from_static("1"));
    (answer.status, headers, Body::from(answer.body)).into_response()
}

fn count(operation: &'static str, outcome: &'static str) {
    metrics::counter!("banyan_payments_fallback_total", "operation" => operation, "outcome" => outcome)
        .increment(1);
}
