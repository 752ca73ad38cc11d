//! The whole stack: what runs, in which order it starts, and how it stops.

mod build;
mod down;
mod gateway;
mod layout;
mod record;
mod servers;
mod status;
mod unit;
mod units;
mod up;

pub use build::{Binaries, build};
pub use down::down;
pub use gateway::roll_out;
pub use layout::{Layout, PORT_OFFSET, STATE_DIR};
pub use record::{ProcessRecord, StackRecord, WEBHOOK_SECRET};
pub use servers::{Access, CELERY_VHOST, RELAY_ROLE, SERVICES, SYNCED, Servers, VHOST, sync_role};
pub use status::{Health, ProcessStatus, status};
pub use unit::{Outcome, Unit};
pub use units::{Surroundings, cutover_env, monolith_env};
pub use up::{UpOptions, manage_py, up};

use std::fs;

use nix::fcntl::{Flock, FlockArg};

use crate::error::{IoContext as _, StackError};

/// Every process, in the order of starting.
pub const PROCESSES: [&str; 15] = [
    "postgres",
    "epmd",
    "rabbitmq",
    "mail",
    "traces",
    "localstripe",
    "stripe",
    "payments",
    "users",
    "notifications",
    "reporting",
    "cutover",
    "monolith",
    "worker",
    "gateway",
];

/// One `up` or `down` of a stack at a time. The lock frees itself when its holder ends, however it ends.
fn lock(layout: &Layout) -> Result<Flock<fs::File>, StackError> {
    let path = layout.file("lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .at("open", &path)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        StackError::Other(format!(
            "another `up` or `down` works on {}; wait for it",
            layout.state.display()
        ))
    })
}
