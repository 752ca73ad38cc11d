//! The payload [`PaymentDisputed`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::SAMPLE_TIME;
use crate::{EventData, EventKind};

/// The cardholder disputes a payment.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentDisputed {
    /// Id of the payment.
    pub payment_id: i64,
    /// Id of the dispute.
    pub dispute_id: i64,
    /// Id of the user.
    pub user_id: i64,
    /// Amount in minor units of `currency`.
    pub amount_minor: i64,
    /// ISO 4217 code, upper case.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
    /// Why, in words.
    pub reason: String,
    /// When evidence is due, if the bank says so.
    #[serde(
        with = "time::serde::rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<super::Rfc3339>")]
    pub due_by: Option<OffsetDateTime>,
}

impl EventData for PaymentDisputed {
    const KIND: EventKind = EventKind::PaymentDisputed;

    fn sample() -> Self {
        Self {
            payment_id: 7,
            dispute_id: 5,
            user_id: 42,
            amount_minor: 1000,
            currency: "USD".into(),
            reason: "sample reason".into(),
            due_by: Some(SAMPLE_TIME),
        }
    }
}
