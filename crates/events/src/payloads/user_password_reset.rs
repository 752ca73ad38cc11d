//! The payload [`UserPasswordReset`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::SAMPLE_TIME;
use crate::{EventData, EventKind};

/// A password reset was asked for.
#[derive(Clone, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserPasswordReset {
    /// Id of the user.
    pub user_id: i64,
    /// E-mail address. Personal data: never logged.
    pub email: String,
    /// Single-use token of the reset link. A secret: never logged.
    pub reset_token: String,
    /// When the link stops working, UTC.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "super::Rfc3339")]
    pub expires_at: OffsetDateTime,
}

debug_redacted!(UserPasswordReset { user_id, expires_at } hides { email, reset_token });

impl EventData for UserPasswordReset {
    const KIND: EventKind = EventKind::UserPasswordReset;

    fn sample() -> Self {
        Self {
            user_id: 42,
            email: "ada@example.com".into(),
            reset_token: "sample-reset-token".into(),
            expires_at: SAMPLE_TIME,
        }
    }
}
