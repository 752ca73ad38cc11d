//! The payload [`MigrationAlert`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{EventData, EventKind};

/// Validation found the two databases apart.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationAlert {
    /// The service whose data differ.
    pub service: String,
    /// Rows that differ.
    pub mismatches: i64,
    /// Rows compared.
    pub sample_size: i64,
    /// Mismatches divided by sample size, as exact decimal text (`0.0050`).
    #[schemars(regex(pattern = "^[0-9]+(\\.[0-9]+)?$"))]
    pub mismatch_rate: String,
    /// What differs, in words; no personal data.
    pub message: String,
    /// The validation run.
    #[schemars(with = "super::UuidText")]
    pub run_id: Uuid,
}

impl EventData for MigrationAlert {
    const KIND: EventKind = EventKind::MigrationAlert;

    fn sample() -> Self {
        Self {
            service: "payments".into(),
            mismatches: 5,
            sample_size: 1000,
            mismatch_rate: "0.0050".into(),
            message: "5 of 1000 rows differ".into(),
            run_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001),
        }
    }
}
