//! The payload [`NotificationDelivered`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Channel, SAMPLE_TIME};
use crate::{EventData, EventKind};

/// A notification was accepted by its channel.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationDelivered {
    /// Id of the notification.
    pub notification_id: i64,
    /// Id of the user.
    pub user_id: i64,
    /// Channel used.
    pub channel: Channel,
    /// Name of the template.
    pub template: String,
    /// The event that caused the notification.
    #[schemars(with = "super::UuidText")]
    pub event_id: Uuid,
    /// When it happened, UTC.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "super::Rfc3339")]
    pub delivered_at: OffsetDateTime,
}

impl EventData for NotificationDelivered {
    const KIND: EventKind = EventKind::NotificationDelivered;

    fn sample() -> Self {
        Self {
            notification_id: 1_099_511_627_776,
            user_id: 42,
            channel: Channel::Email,
            template: "payment-completed".into(),
            event_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
            delivered_at: SAMPLE_TIME,
        }
    }
}
