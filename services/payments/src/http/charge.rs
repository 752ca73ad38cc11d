//! `POST /api/payments/charge`

use axum::Extension;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use banyan_idempotency::{Answer, IdempotentRequest};
use banyan_service_kit::Problem;
use banyan_service_kit::auth::Caller;
use banyan_service_kit::body::{Body, TextRule};
use banyan_service_kit::problem::{INTERNAL, ProblemBody};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};

use super::ApiError;
use super::fields;
use super::schema::PaymentBody;
use crate::domain::money::{Currency, CurrencyCode};
use crate::domain::payment::{Payment, PaymentStatus};
use crate::use_cases::Env;
use crate::use_cases::charge::{self, Order};

const CURRENCY: TextRule = TextRule { min: 3, max: 3 };
const DESCRIPTION: TextRule = TextRule { min: 0, max: 500 };

/// What is charged. Every field that is wrong is named in one answer.
#[derive(ToSchema)]
#[schema(as = Charge, rename_all = "camelCase")]
#[allow(dead_code, reason = "only its schema is used: the fields are read one by one")]
pub(super) struct ChargeBody {
    #[schema(schema_with = amount_schema)]
    amount: String,
    /// An ISO 4217 code.
    #[schema(example = "USD", min_length = 3, max_length = 3)]
    currency: String,
    #[schema(schema_with = payment_method_schema)]
    payment_method_id: String,
    /// The caller's own.
    user_id: Option<i64>,
    /// False: the money is only reserved.
    #[schema(default = true)]
    capture: Option<bool>,
    #[schema(max_length = 500)]
    description: Option<String>,
}

fn amount_schema() -> Schema {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(r"^[0-9]{1,11}(\.[0-9]{1,20})?$"));
    OneOfBuilder::new()
        .item(text)
        .item(ObjectBuilder::new().schema_type(Type::Number))
        .description(Some(
            "In major units, as decimal text such as \"10.00\" or as a number; at most the currency's number of decimals.",
        ))
        .into()
}

fn payment_method_schema() -> Schema {
    let stripe_id = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^pm_[A-Za-z0-9_]{1,60}$"));
    OneOfBuilder::new()
        .item(stripe_id)
        .item(ObjectBuilder::new().schema_type(Type::Integer))
        .description(Some(
            "The id of a payment method, or a Stripe id such as pm_card_visa to attach on the fly.",
        ))
        .into()
}

/// Charge the caller once per Idempotency-Key
#[utoipa::path(
    post,
    path = "/api/payments/charge",
    operation_id = "charge",
    tag = "payments",
    security(("bearer" = [])),
    params(("Idempotency-Key" = String, Header, description = "Made once per payment, such as a UUID; at most 255 printable ASCII characters")),
    request_body = ChargeBody,
    responses(
        (status = 201, description = "Charged, reserved, or waiting for the cardholder", body = PaymentBody),
        (status = 202, description = "The outcome is not known yet; try again with the same key", body = PaymentBody),
        (status = 402, description = "Declined", body = PaymentBody),
        (status = 400, description = "Not JSON, or no good Idempotency-Key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Not the caller's account, or a closed one", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "A request with this key is still running", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "The body is not sent as JSON", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "A field is not valid, or the key was used for another request", body = ProblemBody, content_type = "application/problem+json"),
        (status = 421, description = "The monolith serves this user; the gateway hands the request over to it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Stripe, the database or the keys are away; nothing was charged", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn charge(
    State(env): State<Env>,
    Extension(caller): Extension<Caller>,
    keyed: IdempotentRequest,
    body: Body,
) -> Result<Response, ApiError> {
    let order = read(&env, &caller, body).await?;
    let currency = order.currency;
    let render = move |payment| answer(payment, currency);
    let charged = charge::charge(&env, &order, &keyed, &render).await?;
    Ok(charged.map_or_else(IntoResponse::into_response, IntoResponse::into_response))
}

async fn read(env: &Env, caller: &Caller, mut body: Body) -> Result<Order, ApiError> {
    let user_id = body.integer("userId");
    let currency = currency(env, &mut body).await?;
    let amount = fields::amount(&mut body, currency.unwrap_or(Currency::NONE));
    if body.raw("amount").is_none() {
        body.fail("amount", "is required");
    }
    let method = fields::payment_method(&mut body);
    let capture = body.boolean("capture", true);
    let description = body.text("description", DESCRIPTION, Some(""));
    body.done()?;
    if user_id.is_some_and(|user_id| user_id != caller.user_id) {
        return Err(ApiError::ForeignUser);
    }
    let (Some(amount), Some(currency), Some(method), Some(description)) =
        (amount, currency, method, description)
    else {
        // Whatever is not there was found wrong, and `done` has answered.
        return Err(Problem::new(&INTERNAL).into());
    };
    Ok(Order {
        user_id: caller.user_id,
        amount,
        currency,
        method,
        capture,
        description,
    })
}

/// The currency, if it can be charged.
async fn currency(env: &Env, body: &mut Body) -> Result<Option<Currency>, ApiError> {
    let Some(text) = body.text("currency", CURRENCY, None) else {
        return Ok(None);
    };
    let known = match CurrencyCode::new(&text) {
        Some(code) => env.currencies.find(code).await?,
        None => None,
    };
    let active = known.filter(|known| known.is_active).map(|known| known.currency);
    if active.is_none() {
        body.fail("currency", "is not a currency that can be charged, such as USD");
    }
    Ok(active)
}

/// The answer that a payment's state gives.
fn answer(payment: Payment, currency: Currency) -> Result<Answer, serde_json::Error> {
    let status = match payment.status {
        PaymentStatus::Pending => StatusCode::ACCEPTED,
        PaymentStatus::Failed => StatusCode::PAYMENT_REQUIRED,
        _ => StatusCode::CREATED,
    };
    let location = HeaderValue::try_from(format!("/api/payments/{}", payment.id)).ok();
    let answer = Answer::json(status, &PaymentBody::new(payment, currency))?;
    Ok(match location {
        Some(location) => answer.header(LOCATION, location),
        None => answer,
    })
}
