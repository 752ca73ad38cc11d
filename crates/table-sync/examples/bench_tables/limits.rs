//! Limits of the sync: those that hold by default, or others for a trial.

use std::num::NonZeroU32;

use banyan_table_sync::{snapshot, validate};

/// What the part `legacy` is measured with instead of the default limits.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Limits {
    /// Rows of a chunk of the copy.
    #[arg(long)]
    chunk_rows: Option<NonZeroU32>,
    /// Chunks at the same time.
    #[arg(long)]
    workers: Option<NonZeroU32>,
    /// The copy's pauses, in percent of what its chunks take.
    #[arg(long)]
    copy_pause: Option<u32>,
    /// Rows of a range of the validation.
    #[arg(long)]
    range_rows: Option<NonZeroU32>,
    /// The validation's pauses, in percent of what its ranges take.
    #[arg(long)]
    validation_pause: Option<u32>,
}

impl Limits {
    pub(crate) fn copy(&self) -> snapshot::Limits {
        let default = snapshot::Limits::default();
        snapshot::Limits {
            chunk_rows: self.chunk_rows.unwrap_or(default.chunk_rows),
            workers: self.workers.unwrap_or(default.workers),
            pause_percent: self.copy_pause.unwrap_or(default.pause_percent),
            ..default
        }
    }

    pub(crate) fn validation(&self) -> validate::Options {
        let default = validate::Options::default();
        validate::Options {
            range_rows: self.range_rows.unwrap_or(default.range_rows),
            pause_percent: self.validation_pause.unwrap_or(default.pause_percent),
            ..default
        }
    }
}
