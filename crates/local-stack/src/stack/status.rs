//! What runs.

use serde::Serialize;

use super::record::StackRecord;
use super::{Layout, PROCESSES};
use crate::error::StackError;

/// Whether a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It runs.
    Up,
    /// It was started and is gone.
    Died,
    /// It was not started, or was stopped.
    Down,
}

/// One line of the status table.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessStatus {
    /// Name, as in the contracts.
    pub name: &'static str,
    /// Whether it runs.
    pub state: Health,
    /// Pid while it runs.
    pub pid: Option<u32>,
    /// Port, where it has one.
    pub port: Option<u16>,
    /// URL, where it has one.
    pub url: Option<String>,
    /// Seconds since it started.
    pub uptime_seconds: Option<u64>,
    /// Memory of it and everything it started, in KiB; shared pages count once.
    pub memory_kib: Option<u64>,
}

/// The state of every process of the stack.
pub fn status(layout: &Layout) -> Result<Vec<ProcessStatus>, StackError> {
    let record = StackRecord::load(layout)?;
    Ok(PROCESSES.iter().map(|name| one(&record, name)).collect())
}

fn one(record: &StackRecord, name: &'static str) -> ProcessStatus {
    let known = record.process(name);
    let alive = known.filter(|known| known.identity.is_alive());
    ProcessStatus {
        name,
        state: match (known, alive) {
            (_, Some(_)) => Health::Up,
            (Some(_), None) => Health::Died,
            (None, None) => Health::Down,
        },
        pid: alive.map(|process| process.identity.pid),
        port: known.and_then(|process| process.port),
        url: known.and_then(|process| process.url.clone()),
        uptime_seconds: alive.and_then(|process| process.identity.uptime_seconds()),
        memory_kib: alive.map(|process| process.identity.memory_kib()),
    }
}
