//! `GET` and `POST /api/payments/methods`, `DELETE /api/payments/methods/{id}`

use axum::extract::State;
use axum::http::StatusCode;
use banyan_service_kit::Position;
use banyan_service_kit::auth::Caller;
use banyan_service_kit::body::{Body, TextRule};
use banyan_service_kit::extract::{Json, Path};
use banyan_service_kit::page::{List, Page, PageParams};
use banyan_service_kit::problem::ProblemBody;
use utoipa::ToSchema;

use super::ApiError;
use super::schema::PaymentMethodBody;
use crate::domain::customer::PaymentMethod;
use crate::use_cases::Env;
use crate::use_cases::payment_methods::{Detached, add, list, remove};

const STRIPE_ID: TextRule = TextRule { min: 1, max: 64 };

/// What is attached.
#[derive(ToSchema)]
#[schema(as = NewPaymentMethod, rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used: the fields are read one by one")]
pub(super) struct NewMethodBody {
    #[schema(example = "pm_card_visa", max_length = 64)]
    stripe_payment_method_id: String,
}

/// The caller's payment methods, newest first
#[utoipa::path(
    get,
    path = "/api/payments/methods",
    operation_id = "listPaymentMethods",
    tag = "payments",
    security(("bearer" = [])),
    params(PageParams),
    responses(
        (status = 200, description = "A page of the caller's payment methods", body = List<PaymentMethodBody>),
        (status = 400, description = "A bad `limit` or `cursor`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_methods(
    caller: Caller,
    page: Page<Position>,
    State(env): State<Env>,
) -> Result<Json<List<PaymentMethodBody>>, ApiError> {
    let after = page.after.and_then(Position::get);
    let rows = list(&env.pool, caller.user_id, after, page.fetch()).await?;
    let position = |method: &PaymentMethod| Position::new(method.created_at, method.id);
    Ok(Json(List::new(rows, &page, position, PaymentMethodBody::from)))
}

/// Attach a card to the caller; the first one becomes the default
#[utoipa::path(
    post,
    path = "/api/payments/methods",
    operation_id = "addPaymentMethod",
    tag = "payments",
    security(("bearer" = [])),
    request_body = NewMethodBody,
    responses(
        (status = 201, description = "Attached", body = PaymentMethodBody),
        (status = 400, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 402, description = "The bank refused it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "The body is not sent as JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "It is nothing that can be attached", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Stripe, the database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add_method(
    caller: Caller,
    State(env): State<Env>,
    mut body: Body,
) -> Result<(StatusCode, Json<PaymentMethodBody>), ApiError> {
    let stripe_id = body.text("stripePaymentMethodId", STRIPE_ID, None);
    if stripe_id.as_deref().is_some_and(|id| !id.starts_with("pm_")) {
        body.fail(
            "stripePaymentMethodId",
            "must be a Stripe payment method id, such as pm_card_visa",
        );
    }
    body.done()?;
    let method = add(&env, caller.user_id, &stripe_id.unwrap_or_default()).await?;
    Ok((StatusCode::CREATED, Json(method.into())))
}

/// Detach one of the caller's payment methods
#[utoipa::path(
    delete,
    path = "/api/payments/methods/{id}",
    operation_id = "deletePaymentMethod",
    tag = "payments",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The payment method's id")),
    responses(
        (status = 204, description = "Detached"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "The caller has no such payment method", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "A subscription uses it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_method(
    caller: Caller,
    State(env): State<Env>,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiError> {
    match remove(&env, caller.user_id, id).await? {
        Detached::Done(_) => Ok(StatusCode::NO_CONTENT),
        Detached::Missing => Err(ApiError::Missing("payment method")),
        Detached::InUse => Err(ApiError::InvalidState {
            detail: "A subscription uses this payment method.",
            retry: false,
        }),
    }
}
