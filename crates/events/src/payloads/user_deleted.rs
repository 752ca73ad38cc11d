//! The payload [`UserDeleted`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::SAMPLE_TIME;
use crate::{EventData, EventKind};

/// An account was erased.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserDeleted {
    /// Id of the user.
    pub user_id: i64,
    /// When it happened, UTC.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "super::Rfc3339")]
    pub deleted_at: OffsetDateTime,
}

impl EventData for UserDeleted {
    const KIND: EventKind = EventKind::UserDeleted;

    fn sample() -> Self {
        Self {
            user_id: 42,
            deleted_at: SAMPLE_TIME,
        }
    }
}
