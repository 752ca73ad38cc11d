//! Cutover's own database: orders for the syncs, validation runs, and who did what.

pub(crate) mod actions;
pub(crate) mod orders;
pub(crate) mod runs;
