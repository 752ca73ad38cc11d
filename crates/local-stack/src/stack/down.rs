//! Stopping exactly what `up` started.

use super::record::StackRecord;
use super::servers::{open_postgres, open_rabbitmq};
use super::unit::stop_record;
use super::{Layout, PROCESSES, lock};
use crate::error::StackError;
use crate::progress::Progress;

/// Stops the stack in the reverse order of starting; with `purge` removes its state too. Doing it twice is no error.
/// Returns the names of the processes that were stopped.
pub async fn down(layout: &Layout, purge: bool, progress: &Progress) -> Result<Vec<String>, StackError> {
    if !layout.state.exists() {
        return Ok(Vec::new());
    }
    let lock = lock(layout)?;
    let mut record = StackRecord::load(layout)?;
    let mut stopped = Vec::new();
    record
        .processes
        .sort_by_key(|process| PROCESSES.iter().position(|name| *name == process.name));
    while let Some(process) = record.processes.pop() {
        if is_server(&process.name) {
            continue;
        }
        let step = process
            .identity
            .is_alive()
            .then(|| progress.step(&process.name, "stopping"));
        stop_record(&process).await?;
        if let Some(step) = step {
            step.done("stopped");
            stopped.push(process.name);
        }
        record.save(layout)?;
    }
    stopped.extend(stop_servers(layout, progress).await?);
    record.save(layout)?;
    drop(lock);
    if purge {
        let step = progress.step("state", "removing");
        layout.remove()?;
        step.done("removed");
    }
    Ok(stopped)
}

fn is_server(name: &str) -> bool {
    ["postgres", "rabbitmq", "epmd"].contains(&name)
}

/// The servers keep records of their own, so they are found even when stack.json is gone.
async fn stop_servers(layout: &Layout, progress: &Progress) -> Result<Vec<String>, StackError> {
    let mut stopped = Vec::new();
    if layout.file("rabbitmq/instance.json").exists() {
        let node = open_rabbitmq(layout)?;
        if node.process().is_some() || node.epmd().is_some() {
            let step = progress.step("rabbitmq", "stopping");
            node.stop().await?;
            step.done("stopped");
            stopped.push("rabbitmq".to_owned());
        }
    }
    if layout.file("postgres/instance.json").exists() {
        let server = open_postgres(layout)?;
        if server.process().is_some() {
            let step = progress.step("postgres", "stopping");
            server.stop().await?;
            step.done("stopped");
            stopped.push("postgres".to_owned());
        }
    }
    Ok(stopped)
}
