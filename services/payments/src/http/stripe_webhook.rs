//! `POST /api/payments/webhooks/stripe`

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use banyan_service_kit::Problem;
use banyan_service_kit::extract::Json;
use banyan_service_kit::problem::{Kind, ProblemBody};
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiError;
use crate::stripe::{WebhookError, WebhookVerifier};
use crate::use_cases::Env;
use crate::use_cases::webhooks::{self, Delivery};

/// Only what Stripe signed is believed.
pub(super) static SIGNATURE_INVALID: Kind = Kind {
    slug: "signature-invalid",
    status: 400,
    title: "Signature invalid",
    meaning: "The event is not signed by Stripe, or too old. Nothing was done.",
};

/// An event was taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookTaken)]
pub(super) struct TakenBody {
    #[schema(example = true)]
    received: bool,
}

/// Take an event from Stripe
#[utoipa::path(
    post,
    path = "/api/payments/webhooks/stripe",
    operation_id = "stripeWebhook",
    tag = "payments",
    params(("Stripe-Signature" = String, Header, description = "`t=<seconds>,v1=<HMAC-SHA-256 of the time and the body>`, see https://docs.stripe.com/webhooks#verify-manually")),
    request_body(content = Object, description = "An event as Stripe sends it", content_type = "application/json"),
    responses(
        (status = 200, description = "Taken, now or before", body = TakenBody),
        (status = 400, description = "Not signed by Stripe, or no event", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Could not be handled now, send it again", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn stripe_webhook(
    State(env): State<Env>,
    Extension(verifier): Extension<Arc<WebhookVerifier>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<TakenBody>, ApiError> {
    // A signature that is not ASCII is none of Stripe's.
    let signature = headers
        .get("stripe-signature")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let event = verifier
        .verify(signature, &body, env.now())
        .map_err(|error| match error {
            WebhookError::Signature => {
                Problem::new(&SIGNATURE_INVALID).detail("The Stripe-Signature header does not fit the body.")
            }
            WebhookError::Malformed => Problem::bad_request("The body is not an event."),
        })?;
    let delivery = Delivery {
        event: &event,
        body,
        signature,
    };
    webhooks::take(&env, delivery).await?;
    Ok(Json(TakenBody { received: true }))
}
