//! The question before each request of a user, and the hand-over.

use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use banyan_service_kit::Problem;
use banyan_service_kit::auth::Caller;
use banyan_service_kit::problem::{MISDIRECTED, UNAVAILABLE};
use sqlx::PgPool;

use crate::{Ownership, Seen};

/// nginx goes on at the location that it names, with the same method and body
/// (<https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_ignore_headers>).
static HAND_OVER: HeaderName = HeaderName::from_static("x-accel-redirect");

/// Asks before the handler does anything, by `axum::middleware::from_fn_with_state`, and has the gateway hand over what is the other side's,
/// also where only the handler's transaction found out. Whoever is nobody passes: what is no user's does not move by user, and what needs
/// a user refuses by itself.
pub async fn only_ours(
    State((ownership, pool)): State<(Ownership, PgPool)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut response = match Caller::from_request_parts(&mut parts, &()).await {
        Ok(caller) => match ownership.look(&pool, caller.user_id).await {
            Ok(Seen::Ours) => {
                parts.extensions.insert(caller);
                next.run(Request::from_parts(parts, body)).await
            }
            Ok(Seen::Theirs) => Problem::new(&MISDIRECTED).into_response(),
            Ok(Seen::Settling) => Problem::new(&UNAVAILABLE)
                .detail("This user is being moved. Nothing was done; send the request again.")
                .retry_after(1)
                .into_response(),
            Err(error) => Problem::database(&error).into_response(),
        },
        Err(_) => next.run(Request::from_parts(parts, body)).await,
    };
    if response.status() == StatusCode::MISDIRECTED_REQUEST {
        let hand_over = HeaderValue::from_static(ownership.hand_over);
        response.headers_mut().insert(HAND_OVER.clone(), hand_over);
    }
    response
}
