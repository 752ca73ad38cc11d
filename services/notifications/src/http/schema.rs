//! Bodies, as JSON and in the OpenAPI document.

use std::collections::BTreeMap;

use banyan_events::payloads::Channel;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::{
    category::Category,
    notification::{Notification, Status},
    routing::Choice,
};

/// A way to reach a user.
#[derive(ToSchema)]
#[schema(as = Channel, rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is used")]
pub(super) enum ChannelSchema {
    Email,
    Sms,
    Webhook,
}

/// A notification.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Notification)]
pub(super) struct NotificationBody {
    /// Id of the notification.
    #[schema(example = 1_099_511_627_776_i64)]
    id: i64,
    /// The event that caused it.
    event_id: Uuid,
    /// That event's type.
    #[schema(example = "payment.completed")]
    event_type: String,
    /// Channel used.
    #[schema(value_type = ChannelSchema)]
    channel: Channel,
    /// Name of the template.
    #[schema(example = "payment-completed")]
    template: String,
    /// Where it stands.
    status: Status,
    /// Tries made.
    attempts: i32,
    /// Why the last try failed, or why nothing was sent.
    #[schema(required)]
    error: Option<String>,
    /// When the service first dealt with it, UTC.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When the channel accepted it, UTC.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(required)]
    sent_at: Option<OffsetDateTime>,
}

impl From<Notification> for NotificationBody {
    fn from(row: Notification) -> Self {
        Self {
            id: row.id,
            event_id: row.event_id,
            event_type: row.event_type,
            channel: row.channel,
            template: row.template,
            status: row.status,
            attempts: row.attempts,
            error: row.error,
            created_at: row.created_at,
            sent_at: row.sent_at,
        }
    }
}

/// What a user wants to be told, and how.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Preferences)]
pub(super) struct PreferencesBody {
    /// One entry per category.
    pub(super) categories: Vec<CategoryBody>,
}

/// The choice for one category.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = CategoryPreference)]
pub(super) struct CategoryBody {
    /// The category.
    pub(super) category: Category,
    /// Wanted at all. What the account cannot do without, such as a password link, is sent in any case.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) enabled: bool,
    /// The channel; null: the one preferred in the profile. E-mail where the user has no device of that kind.
    #[serde(default)]
    #[schema(value_type = Option<ChannelSchema>)]
    pub(super) channel: Option<Channel>,
    /// Collected into one mail a day.
    #[serde(default)]
    #[schema(default = false)]
    pub(super) digest: bool,
}

const fn yes() -> bool {
    true
}

impl From<BTreeMap<Category, Choice>> for PreferencesBody {
    fn from(choices: BTreeMap<Category, Choice>) -> Self {
        let categories = choices
            .into_iter()
            .map(|(category, choice)| CategoryBody {
                category,
                enabled: choice.enabled,
                channel: choice.channel,
                digest: choice.digest,
            })
            .collect();
        Self { categories }
    }
}
