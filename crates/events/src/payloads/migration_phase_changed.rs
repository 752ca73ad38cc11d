//! The payload [`MigrationPhaseChanged`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventData, EventKind};

/// A domain moved to another phase or share.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationPhaseChanged {
    /// The domain.
    pub domain: String,
    /// Phase before.
    pub from: String,
    /// Phase after.
    pub to: String,
    /// Share of users on the new side, in basis points (1/100 %).
    pub percent: i32,
    /// Who moved it.
    pub actor: String,
    /// Why, in words.
    pub reason: String,
}

impl EventData for MigrationPhaseChanged {
    const KIND: EventKind = EventKind::MigrationPhaseChanged;

    fn sample() -> Self {
        Self {
            domain: "payments".into(),
            from: "shadow".into(),
            to: "ramp".into(),
            percent: 500,
            actor: "ada".into(),
            reason: "sample reason".into(),
        }
    }
}
