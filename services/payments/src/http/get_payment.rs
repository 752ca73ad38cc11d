//! `GET /api/payments/{id}`

use axum::extract::State;
use banyan_service_kit::auth::Caller;
use banyan_service_kit::extract::{Json, Path};
use banyan_service_kit::problem::ProblemBody;

use super::ApiError;
use super::schema::PaymentBody;
use crate::use_cases::{Env, payments};

/// One of the caller's payments
#[utoipa::path(
    get,
    path = "/api/payments/{id}",
    operation_id = "getPayment",
    tag = "payments",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The payment's id")),
    responses(
        (status = 200, description = "The payment", body = PaymentBody),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "The caller has no such payment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_payment(
    caller: Caller,
    State(env): State<Env>,
    Path(id): Path<i64>,
) -> Result<Json<PaymentBody>, ApiError> {
    let found = payments::get(&env, caller.user_id, id).await?;
    let (payment, currency) = found.ok_or(ApiError::Missing("payment"))?;
    Ok(Json(PaymentBody::new(payment, currency)))
}
