//! The payload [`UserProfileUpdated`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Channel;
use crate::{EventData, EventKind};

/// Profile fields changed; a field that did not change is absent.
#[derive(Clone, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserProfileUpdated {
    /// Id of the user.
    pub user_id: i64,
    /// E-mail address. Personal data: never logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Name to greet the user by. Personal data: never logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// BCP 47 language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Channel the user asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_channel: Option<Channel>,
}

debug_redacted!(UserProfileUpdated { user_id, locale, preferred_channel } hides { email, display_name });

impl EventData for UserProfileUpdated {
    const KIND: EventKind = EventKind::UserProfileUpdated;

    fn sample() -> Self {
        Self {
            user_id: 42,
            email: Some("ada@example.com".into()),
            display_name: Some("Ada Lovelace".into()),
            locale: Some("en".into()),
            preferred_channel: Some(Channel::Email),
        }
    }
}
