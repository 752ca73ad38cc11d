//! The payload [`PaymentRefunded`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::SAMPLE_TIME;
use crate::{EventData, EventKind};

/// Money, or part of it, has been given back.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRefunded {
    /// Id of the payment.
    pub payment_id: i64,
    /// Id of the refund.
    pub refund_id: i64,
    /// Id of the user.
    pub user_id: i64,
    /// Amount in minor units of `currency`.
    pub amount_minor: i64,
    /// ISO 4217 code, upper case.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
    /// When it happened, UTC.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "super::Rfc3339")]
    pub refunded_at: OffsetDateTime,
}

impl EventData for PaymentRefunded {
    const KIND: EventKind = EventKind::PaymentRefunded;

    fn sample() -> Self {
        Self {
            payment_id: 7,
            refund_id: 3,
            user_id: 42,
            amount_minor: 1000,
            currency: "USD".into(),
            refunded_at: SAMPLE_TIME,
        }
    }
}
