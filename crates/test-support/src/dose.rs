//! How much of a heavy test to run.

use std::time::Duration;

/// The small dose, unless `cargo xtask soak <name>` asks for the full one (`BANYAN_SOAK=1`).
pub fn dose(small: usize, full: usize) -> usize {
    if soak() { full } else { small }
}

/// The same for a number of events, which `cargo xtask soak <name> --count` (`BANYAN_SOAK_COUNT`) sets freely.
pub fn count(small: usize, full: usize) -> usize {
    let given = std::env::var("BANYAN_SOAK_COUNT")
        .ok()
        .and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| dose(small, full))
}

/// How long anything may take that a machine under load does in seconds.
pub fn patience() -> Duration {
    Duration::from_secs(if soak() { 1800 } else { 120 })
}

fn soak() -> bool {
    std::env::var_os("BANYAN_SOAK").is_some_and(|value| !value.is_empty())
}
