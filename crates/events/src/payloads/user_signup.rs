//! The payload [`UserSignup`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Channel;
use crate::{EventData, EventKind};

/// An account was created.
#[derive(Clone, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserSignup {
    /// Id of the user.
    pub user_id: i64,
    /// E-mail address. Personal data: never logged.
    pub email: String,
    /// Name to greet the user by. Personal data: never logged.
    pub display_name: String,
    /// BCP 47 language tag.
    pub locale: String,
    /// Channel the user asked for.
    pub preferred_channel: Channel,
    /// Single-use token of the verification link. A secret: never logged.
    pub verification_token: String,
}

debug_redacted!(UserSignup { user_id, locale, preferred_channel } hides { email, display_name, verification_token });

impl EventData for UserSignup {
    const KIND: EventKind = EventKind::UserSignup;

    fn sample() -> Self {
        Self {
            user_id: 42,
            email: "ada@example.com".into(),
            display_name: "Ada Lovelace".into(),
            locale: "en".into(),
            preferred_channel: Channel::Email,
            verification_token: "sample-verification-token".into(),
        }
    }
}
