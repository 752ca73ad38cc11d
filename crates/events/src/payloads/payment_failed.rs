//! The payload [`PaymentFailed`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::SAMPLE_TIME;
use crate::{EventData, EventKind};

/// A charge was declined for good.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentFailed {
    /// Id of the payment.
    pub payment_id: i64,
    /// Id of the user.
    pub user_id: i64,
    /// Amount in minor units of `currency`.
    pub amount_minor: i64,
    /// ISO 4217 code, upper case.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
    /// Stripe's decline code.
    pub failure_code: String,
    /// What the user may be told.
    pub failure_message: String,
    /// When it happened, UTC.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "super::Rfc3339")]
    pub failed_at: OffsetDateTime,
}

impl EventData for PaymentFailed {
    const KIND: EventKind = EventKind::PaymentFailed;

    fn sample() -> Self {
        Self {
            payment_id: 7,
            user_id: 42,
            amount_minor: 1000,
            currency: "USD".into(),
            failure_code: "card_declined".into(),
            failure_message: "Your card was declined.".into(),
            failed_at: SAMPLE_TIME,
        }
    }
}
