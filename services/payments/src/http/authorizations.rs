//! `POST /api/payments/{id}/capture` and `POST /api/payments/{id}/cancel`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use banyan_service_kit::auth::Caller;
use banyan_service_kit::body::OptionalBody;
use banyan_service_kit::extract::{Json, Path};
use banyan_service_kit::problem::ProblemBody;
use utoipa::ToSchema;

use super::ApiError;
use super::fields;
use super::schema::PaymentBody;
use crate::domain::money::Currency;
use crate::domain::payment::{Payment, PaymentStatus};
use crate::use_cases::{Env, cancel, capture, payments};

/// What is captured; no body means all of it.
#[derive(ToSchema)]
#[schema(as = Capture, rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used: the fields are read one by one")]
pub(super) struct CaptureBody {
    /// In major units, as decimal text or as a number; all that is reserved where it is left out.
    #[schema(example = "10.00", pattern = r"^[0-9]{1,11}(\.[0-9]{1,20})?$")]
    amount: Option<String>,
}

/// Take reserved money, all or part of it
#[utoipa::path(
    post,
    path = "/api/payments/{id}/capture",
    operation_id = "capturePayment",
    tag = "payments",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The payment's id")),
    request_body(content = Option<CaptureBody>),
    responses(
        (status = 200, description = "Captured, now or before", body = PaymentBody),
        (status = 202, description = "The outcome is not known yet; try again in a moment", body = PaymentBody),
        (status = 400, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "The caller has no such payment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Nothing is reserved, or another amount was captured; with `Retry-After`, something undecided is in the way", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "The body is not sent as JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The amount is not valid, or more than is reserved", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn capture(
    caller: Caller,
    State(env): State<Env>,
    Path(id): Path<i64>,
    OptionalBody(mut body): OptionalBody,
) -> Result<Response, ApiError> {
    let found = payments::get(&env, caller.user_id, id).await?;
    let (_, currency) = found.ok_or(ApiError::Missing("payment"))?;
    let amount = fields::amount(&mut body, currency);
    body.done()?;
    let captured = capture::capture(&env, caller.user_id, id, amount).await?;
    let is_known = captured.completed_at.is_some();
    Ok(answer(captured, currency, is_known))
}

/// Give reserved money free
#[utoipa::path(
    post,
    path = "/api/payments/{id}/cancel",
    operation_id = "cancelPayment",
    tag = "payments",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The payment's id")),
    responses(
        (status = 200, description = "Canceled, now or before", body = PaymentBody),
        (status = 202, description = "The outcome is not known yet; try again in a moment", body = PaymentBody),
        (status = 400, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "The caller has no such payment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Nothing is reserved; with `Retry-After`, something undecided is in the way", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "The body is not sent as JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn cancel(
    caller: Caller,
    State(env): State<Env>,
    Path(id): Path<i64>,
    // A body is not needed, and one that is there has to be JSON.
    _body: OptionalBody,
) -> Result<Response, ApiError> {
    let canceled = cancel::cancel(&env, caller.user_id, id).await?;
    let currency = env.currencies.of(canceled.currency).await?;
    let is_known = canceled.status == PaymentStatus::Canceled;
    Ok(answer(canceled, currency, is_known))
}

fn answer(payment: Payment, currency: Currency, is_known: bool) -> Response {
    let status = if is_known {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    (status, Json(PaymentBody::new(payment, currency))).into_response()
}
