//! The payload [`ReportExportReady`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventData, EventKind};

/// An export can be downloaded.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportExportReady {
    /// Id of the export.
    pub export_id: i64,
    /// Id of the user.
    pub user_id: i64,
    /// Rows in the file.
    pub rows: i64,
    /// Size of the file in bytes.
    pub bytes: i64,
}

impl EventData for ReportExportReady {
    const KIND: EventKind = EventKind::ReportExportReady;

    fn sample() -> Self {
        Self {
            export_id: 6,
            user_id: 42,
            rows: 120,
            bytes: 4096,
        }
    }
}
