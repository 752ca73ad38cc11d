//! The payload [`UserEmailVerified`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::SAMPLE_TIME;
use crate::{EventData, EventKind};

/// An e-mail address was proven.
#[derive(Clone, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserEmailVerified {
    /// Id of the user.
    pub user_id: i64,
    /// E-mail address. Personal data: never logged.
    pub email: String,
    /// When it happened, UTC.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "super::Rfc3339")]
    pub verified_at: OffsetDateTime,
}

debug_redacted!(UserEmailVerified { user_id, verified_at } hides { email });

impl EventData for UserEmailVerified {
    const KIND: EventKind = EventKind::UserEmailVerified;

    fn sample() -> Self {
        Self {
            user_id: 42,
            email: "ada@example.com".into(),
            verified_at: SAMPLE_TIME,
        }
    }
}
