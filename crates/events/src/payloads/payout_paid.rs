//! The payload [`PayoutPaid`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::SAMPLE_TIME;
use crate::{EventData, EventKind};

/// A payout reached the bank.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PayoutPaid {
    /// Id of the payout.
    pub payout_id: i64,
    /// Amount in minor units of `currency`.
    pub amount_minor: i64,
    /// ISO 4217 code, upper case.
    #[schemars(regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
    /// Payments in the payout.
    pub payment_count: i64,
    /// When it happened, UTC.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "super::Rfc3339")]
    pub paid_at: OffsetDateTime,
}

impl EventData for PayoutPaid {
    const KIND: EventKind = EventKind::PayoutPaid;

    fn sample() -> Self {
        Self {
            payout_id: 11,
            amount_minor: 1000,
            currency: "USD".into(),
            payment_count: 12,
            paid_at: SAMPLE_TIME,
        }
    }
}
