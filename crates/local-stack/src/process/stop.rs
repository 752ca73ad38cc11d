//! Ending processes, for certain.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::Identity;
use crate::error::StackError;

/// How long a killed process may take to vanish from the process table.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// How long workers may outlive their master.
const WORKER_PATIENCE: Duration = Duration::from_secs(3);
/// The kernel offers no portable wait for a process that is not a child, so its end is looked for at this pace.
const PACE: Duration = Duration::from_millis(15);

/// Asks the process to end, waits up to `grace`, then kills it and whatever it had started.
pub async fn stop(name: &str, process: &Identity, signal: Signal, grace: Duration) -> Result<(), StackError> {
    if !process.is_alive() {
        return end_orphans(name, process).await;
    }
    let below = process.descendants();
    process.signal(signal);
    if gone(process, grace).await {
        // Workers follow their master; one that does not is ended here.
        for child in &below {
            if !gone(child, WORKER_PATIENCE).await {
                child.signal(Signal::SIGKILL);
            }
        }
        return end_orphans(name, process).await;
    }
    tracing::warn!(name, pid = process.pid, "did not stop in time and is killed");
    kill9(name, process).await
}

/// Kills the process and everything it started, at once and without a chance to tidy up.
pub async fn kill9(name: &str, process: &Identity) -> Result<(), StackError> {
    // Held still, it cannot start another child between the look and the kill. The signal takes effect when the process
    // leaves the kernel, where it may be forking just now.
    process.signal(Signal::SIGSTOP);
    let begin = Instant::now();
    while process.is_alive() && !process.is_stopped() && begin.elapsed() < KILL_PATIENCE {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut all = process.descendants();
    all.insert(0, process.clone());
    for one in &all {
        one.signal(Signal::SIGKILL);
    }
    for one in &all {
        if !gone(one, KILL_PATIENCE).await {
            return Err(StackError::Unkillable {
                name: name.to_owned(),
                pid: one.pid,
            });
        }
    }
    end_orphans(name, process).await
}

/// Ends what outlived a process that is gone, such as workers whose master was killed: they may still hold its port.
pub async fn end_orphans(name: &str, process: &Identity) -> Result<(), StackError> {
    let orphans = if process.is_alive() {
        Vec::new()
    } else {
        process.orphans()
    };
    for orphan in &orphans {
        orphan.signal(Signal::SIGKILL);
    }
    for orphan in &orphans {
        if !gone(orphan, KILL_PATIENCE).await {
            return Err(StackError::Unkillable {
                name: name.to_owned(),
                pid: orphan.pid,
            });
        }
    }
    Ok(())
}

/// Waits until a process that ended has left the process table too, which its parent decides; at most `patience`.
pub async fn reaped(process: &Identity, patience: Duration) {
    let begin = Instant::now();
    while process.is_listed() && begin.elapsed() < patience {
        tokio::time::sleep(PACE).await;
    }
}

async fn gone(process: &Identity, patience: Duration) -> bool {
    let begin = Instant::now();
    while process.is_alive() {
        if begin.elapsed() > patience {
            return false;
        }
        tokio::time::sleep(PACE).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_reaped_when_its_parent_has_asked() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Identity::of(child.id()).unwrap();
        kill9("sleep", &process).await.unwrap();
        reaped(&process, Duration::ZERO).await;
        assert!(process.is_listed() && !process.is_alive(), "nobody asked yet");
        let parent = async { child.wait().unwrap() };
        tokio::join!(reaped(&process, Duration::from_mins(1)), parent);
        assert!(!process.is_listed());
    }
}
