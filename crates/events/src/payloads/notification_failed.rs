//! The payload [`NotificationFailed`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Channel;
use crate::{EventData, EventKind};

/// A notification was given up.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationFailed {
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
    /// Why, in words.
    pub reason: String,
    /// Tries made.
    pub attempts: i32,
}

impl EventData for NotificationFailed {
    const KIND: EventKind = EventKind::NotificationFailed;

    fn sample() -> Self {
        Self {
            notification_id: 1_099_511_627_776,
            user_id: 42,
            channel: Channel::Email,
            template: "payment-completed".into(),
            event_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
            reason: "sample reason".into(),
            attempts: 5,
        }
    }
}
