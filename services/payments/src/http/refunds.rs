//! `POST /api/payments/{id}/refunds` and `GET /api/payments/{id}/refunds`

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use banyan_idempotency::{Answer, IdempotentRequest};
use banyan_service_kit::Position;
use banyan_service_kit::auth::Caller;
use banyan_service_kit::body::Body;
use banyan_service_kit::extract::{Json, Path};
use banyan_service_kit::page::{List, Page, PageParams};
use banyan_service_kit::problem::ProblemBody;
use utoipa::ToSchema;

use super::ApiError;
use super::fields;
use super::schema::RefundBody;
use crate::domain::money::Currency;
use crate::domain::refund::{Refund, RefundReason, RefundStatus};
use crate::use_cases::refund::{self, RefundOrder};
use crate::use_cases::{Env, payments};

/// What is given back. Every field that is wrong is named in one answer.
#[derive(ToSchema)]
#[schema(as = NewRefund, rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used: the fields are read one by one")]
pub(super) struct NewRefundBody {
    /// In major units, as decimal text or as a number; all that is left where it is left out.
    #[schema(example = "10.00", pattern = r"^[0-9]{1,11}(\.[0-9]{1,20})?$")]
    amount: Option<String>,
    /// `duplicate`, `fraudulent` or `requested_by_customer`.
    #[schema(example = "requested_by_customer")]
    reason: Option<String>,
}

/// Give money back once per payment and Idempotency-Key
#[utoipa::path(
    post,
    path = "/api/payments/{id}/refunds",
    operation_id = "refundPayment",
    tag = "payments",
    security(("bearer" = [])),
    params(
        ("id" = i64, Path, description = "The payment's id"),
        ("Idempotency-Key" = String, Header, description = "Made once per refund, such as a UUID; at most 255 printable ASCII characters"),
    ),
    request_body = NewRefundBody,
    responses(
        (status = 201, description = "Given back", body = RefundBody),
        (status = 202, description = "The outcome is not known yet; try again with the same key", body = RefundBody),
        (status = 402, description = "Refused; the amount can be refunded still", body = RefundBody),
        (status = 400, description = "Not JSON, or no good Idempotency-Key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "The caller has no such payment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Nothing was paid, all was refunded, or a request with this key is still running", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "The body is not sent as JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is not valid, more was asked for than is left, or the key was used for another request", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn refund(
    State(env): State<Env>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<i64>,
    keyed: IdempotentRequest,
    mut body: Body,
) -> Result<Response, ApiError> {
    let found = payments::get(&env, caller.user_id, id).await?;
    let (payment, currency) = found.ok_or(ApiError::Missing("payment"))?;
    let amount = fields::amount(&mut body, currency);
    let reasons: Vec<_> = RefundReason::ALL.iter().map(|one| (one.name(), *one)).collect();
    let reason = body.choice("reason", &reasons);
    body.done()?;
    let order = RefundOrder {
        user_id: caller.user_id,
        payment_id: payment.id,
        currency,
        amount,
        reason,
    };
    let render = move |refund| answer(refund, currency);
    let refunded = refund::refund(&env, &order, &keyed, &render).await?;
    Ok(refunded.map_or_else(IntoResponse::into_response, IntoResponse::into_response))
}

/// The refunds of one of the caller's payments, newest first
#[utoipa::path(
    get,
    path = "/api/payments/{id}/refunds",
    operation_id = "listRefunds",
    tag = "payments",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The payment's id"), PageParams),
    responses(
        (status = 200, description = "A page of the payment's refunds", body = List<RefundBody>),
        (status = 400, description = "A bad `limit` or `cursor`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "The caller has no such payment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_refunds(
    caller: Caller,
    State(env): State<Env>,
    Path(id): Path<i64>,
    page: Page<Position>,
) -> Result<Json<List<RefundBody>>, ApiError> {
    let found = payments::get(&env, caller.user_id, id).await?;
    let (payment, currency) = found.ok_or(ApiError::Missing("payment"))?;
    let after = page.after.and_then(Position::get);
    let rows = refund::list(&env, payment.id, after, page.fetch()).await?;
    let position = |refund: &Refund| Position::new(refund.created_at, refund.id);
    let body = |refund| RefundBody::new(refund, currency);
    Ok(Json(List::new(rows, &page, position, body)))
}

/// The answer that a refund's state gives.
fn answer(refund: Refund, currency: Currency) -> Result<Answer, serde_json::Error> {
    let status = match refund.status {
        RefundStatus::Pending => StatusCode::ACCEPTED,
        RefundStatus::Succeeded => StatusCode::CREATED,
        RefundStatus::Failed => StatusCode::PAYMENT_REQUIRED,
    };
    Answer::json(status, &RefundBody::new(refund, currency))
}
