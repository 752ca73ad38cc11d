//! Detached processes: started with a log file, found again by pid and start time, stopped for certain.

mod identity;
mod ready;
mod spawn;
mod stop;

pub use identity::Identity;
pub use ready::{Probe, wait_ready};
pub use spawn::{Spawn, find_program, run};
pub use stop::{end_orphans, kill9, reaped, stop};
