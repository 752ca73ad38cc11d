//! `GET /api/payments/balance`

use axum::extract::State;
use banyan_service_kit::auth::Caller;
use banyan_service_kit::extract::Json;
use banyan_service_kit::problem::ProblemBody;

use super::ApiError;
use super::schema::BalancesBody;
use crate::use_cases::{Env, balance};

/// What the caller has paid, by currency
#[utoipa::path(
    get,
    path = "/api/payments/balance",
    operation_id = "getBalance",
    tag = "payments",
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A balance per currency, by code", body = BalancesBody),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_balance(
    caller: Caller,
    State(env): State<Env>,
) -> Result<Json<BalancesBody>, ApiError> {
    Ok(Json(balance::balances(&env, caller.user_id).await?.into()))
}
