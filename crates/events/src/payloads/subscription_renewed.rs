//! The payload [`SubscriptionRenewed`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::SAMPLE_TIME;
use crate::{EventData, EventKind};

/// A subscription was renewed and paid.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionRenewed {
    /// Id of the subscription.
    pub subscription_id: i64,
    /// Id of the user.
    pub user_id: i64,
    /// Id of the plan.
    pub plan_id: i64,
    /// Id of the payment.
    pub payment_id: i64,
    /// Start of the paid period.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "super::Rfc3339")]
    pub period_start: OffsetDateTime,
    /// End of the paid period.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "super::Rfc3339")]
    pub period_end: OffsetDateTime,
}

impl EventData for SubscriptionRenewed {
    const KIND: EventKind = EventKind::SubscriptionRenewed;

    fn sample() -> Self {
        Self {
            subscription_id: 9,
            user_id: 42,
            plan_id: 2,
            payment_id: 7,
            period_start: SAMPLE_TIME,
            period_end: SAMPLE_TIME,
        }
    }
}
