//! The payload [`PaymentCompleted`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::SAMPLE_TIME;
use crate::{EventData, EventKind};

/// Money has been taken.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentCompleted {
    /// Id of the payment.
    pub payment_id: i64,
    /// Id of the user.
    pub user_id: i64,
    /// Amount in minor units of `currency`.
    pub amount_minor: i64,
    /// ISO 4217 code, upper case.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
    /// The payment method used; absent once it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method_id: Option<i64>,
    /// Stripe's id of the PaymentIntent.
    pub stripe_payment_intent_id: String,
    /// When it happened, UTC.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "super::Rfc3339")]
    pub completed_at: OffsetDateTime,
}

impl EventData for PaymentCompleted {
    const KIND: EventKind = EventKind::PaymentCompleted;

    fn sample() -> Self {
        Self {
            payment_id: 7,
            user_id: 42,
            amount_minor: 1000,
            currency: "USD".into(),
            payment_method_id: Some(4),
            stripe_payment_intent_id: "pi_sample".into(),
            completed_at: SAMPLE_TIME,
        }
    }
}
