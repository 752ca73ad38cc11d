//! `GET /api/payments/`

use axum::extract::State;
use banyan_service_kit::Position;
use banyan_service_kit::auth::Caller;
use banyan_service_kit::extract::Json;
use banyan_service_kit::page::{List, Page, PageParams};
use banyan_service_kit::problem::ProblemBody;

use super::ApiError;
use super::schema::PaymentBody;
use crate::domain::payment::Payment;
use crate::use_cases::{Env, payments};

/// The caller's payments, newest first
#[utoipa::path(
    get,
    path = "/api/payments/",
    operation_id = "listPayments",
    tag = "payments",
    security(("bearer" = [])),
    params(PageParams),
    responses(
        (status = 200, description = "A page of the caller's payments", body = List<PaymentBody>),
        (status = 400, description = "A bad `limit` or `cursor`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_payments(
    caller: Caller,
    page: Page<Position>,
    State(env): State<Env>,
) -> Result<Json<List<PaymentBody>>, ApiError> {
    let after = page.after.and_then(Position::get);
    let rows = payments::list(&env, caller.user_id, after, page.fetch()).await?;
    let position = |(payment, _): &(Payment, _)| Position::new(payment.created_at, payment.id);
    let body = |(payment, currency)| PaymentBody::new(payment, currency);
    Ok(Json(List::new(rows, &page, position, body)))
}
