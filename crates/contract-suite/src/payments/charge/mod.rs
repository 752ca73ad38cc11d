//! POST /api/payments/charge

mod input;
mod keys;
mod money;
mod outcomes;

use crate::check::Check;

pub(super) fn checks() -> Vec<Check> {
    [
        outcomes::checks(),
        money::checks(),
        input::checks(),
        keys::checks(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
