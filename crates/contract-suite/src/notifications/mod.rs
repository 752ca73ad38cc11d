//! What users were told, and what they want to be told.

mod log;
mod preferences;

use crate::check::Check;

pub(crate) fn checks() -> Vec<Check> {
    [log::checks(), preferences::reading(), preferences::replacing()]
        .into_iter()
        .flatten()
        .collect()
}
