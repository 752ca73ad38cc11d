//! `POST /api/payments/subscriptions` and `DELETE /api/payments/subscriptions/{id}`

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use banyan_idempotency::{Answer, IdempotentRequest};
use banyan_service_kit::auth::Caller;
use banyan_service_kit::body::{Body, TextRule};
use banyan_service_kit::extract::{Json, Path};
use banyan_service_kit::problem::ProblemBody;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::ApiError;
use super::fields;
use crate::domain::subscription::{Subscription, SubscriptionStatus};
use crate::use_cases::Env;
use crate::use_cases::cancel_subscription::cancel;
use crate::use_cases::subscribe::{self, Order};

const COUPON_CODE: TextRule = TextRule { min: 0, max: 40 };

/// What is subscribed to. Every field that is wrong is named in one answer.
#[derive(ToSchema)]
#[schema(as = NewSubscription, rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used: the fields are read one by one")]
pub(super) struct NewSubscriptionBody {
    #[schema(example = 1)]
    plan_id: i64,
    /// The id of a payment method, or a Stripe id to attach on the fly.
    #[schema(value_type = Object, example = "pm_card_visa")]
    payment_method_id: String,
    #[schema(max_length = 40, example = "WELCOME10")]
    coupon_code: Option<String>,
}

/// A subscription as its user sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubscriptionBody {
    id: i64,
    user_id: i64,
    plan_id: i64,
    #[schema(example = "active")]
    status: &'static str,
    payment_method_id: i64,
    coupon_code: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    current_period_start: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    current_period_end: OffsetDateTime,
    cancel_at_period_end: bool,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    canceled_at: Option<OffsetDateTime>,
}

impl From<&Subscription> for SubscriptionBody {
    fn from(subscription: &Subscription) -> Self {
        Self {
            id: subscription.id,
            user_id: subscription.user_id,
            plan_id: subscription.plan_id,
            status: subscription.status.name(),
            payment_method_id: subscription.payment_method_id,
            coupon_code: subscription.coupon_code.clone(),
            current_period_start: subscription.current_period_start,
            current_period_end: subscription.current_period_end,
            cancel_at_period_end: subscription.cancel_at_period_end,
            created_at: subscription.created_at,
            canceled_at: subscription.canceled_at,
        }
    }
}

/// Subscribe the caller to a plan once per Idempotency-Key; the first period is paid at once
#[utoipa::path(
    post,
    path = "/api/payments/subscriptions",
    operation_id = "createSubscription",
    tag = "payments",
    security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "Made once per subscription, such as a UUID; at most 255 printable ASCII characters")),
    request_body = NewSubscriptionBody,
    responses(
        (status = 201, description = "Subscribed", body = SubscriptionBody),
        (status = 202, description = "The outcome of the first payment is not known yet; try again with the same key", body = SubscriptionBody),
        (status = 402, description = "The first payment was declined (the subscription), or the card when it was attached (a problem)",
            content((SubscriptionBody = "application/json"), (ProblemBody = "application/problem+json"))),
        (status = 400, description = "Not JSON, or no good Idempotency-Key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The account is closed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Subscribed already, not possible as things stand, or a request with this key is still running", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "The body is not sent as JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is not valid, or the key was used for another request", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Stripe, the database or the keys are away; nothing was charged", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create_subscription(
    State(env): State<Env>,
    Extension(caller): Extension<Caller>,
    keyed: IdempotentRequest,
    body: Body,
) -> Result<Response, ApiError> {
    let order = read(&caller, body)?;
    let subscribed = subscribe::subscribe(&env, &order, &keyed, &answer).await?;
    Ok(subscribed.map_or_else(IntoResponse::into_response, IntoResponse::into_response))
}

fn read(caller: &Caller, mut body: Body) -> Result<Order, ApiError> {
    let plan_id = body.integer("planId");
    if body.raw("planId").is_none() {
        body.fail("planId", "is required");
    }
    let method = fields::payment_method(&mut body);
    let coupon_code = body.text("couponCode", COUPON_CODE, Some(""));
    body.done()?;
    let read = || {
        Some(Order {
            user_id: caller.user_id,
            plan_id: plan_id?,
            method: method?,
            coupon_code: coupon_code?,
        })
    };
    // Each is there where nothing was found wrong.
    read().ok_or(ApiError::Missing("request"))
}

/// The answer that a subscription's state gives.
fn answer(subscription: &Subscription) -> Result<Answer, serde_json::Error> {
    let status = match subscription.status {
        SubscriptionStatus::Incomplete => StatusCode::ACCEPTED,
        SubscriptionStatus::IncompleteExpired => StatusCode::PAYMENT_REQUIRED,
        _ => StatusCode::CREATED,
    };
    Answer::json(status, &SubscriptionBody::from(subscription))
}

/// End one of the caller's subscriptions: with its paid period, or at once when it is not paid
#[utoipa::path(
    delete,
    path = "/api/payments/subscriptions/{id}",
    operation_id = "deleteSubscription",
    tag = "payments",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The subscription's id")),
    responses(
        (status = 200, description = "Ended, or going to end with its period", body = SubscriptionBody),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "The caller has no such subscription", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database or the keys are away", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_subscription(
    caller: Caller,
    State(env): State<Env>,
    Path(id): Path<i64>,
) -> Result<Json<SubscriptionBody>, ApiError> {
    let subscription = cancel(&env, caller.user_id, id).await?;
    let subscription = subscription.ok_or(ApiError::Missing("subscription"))?;
    Ok(Json(SubscriptionBody::from(&subscription)))
}
