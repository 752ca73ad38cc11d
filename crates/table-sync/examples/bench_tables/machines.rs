//! Two machines out of one, as the two databases are in earnest: half of the cores for each, and for the new one a disk that the
//! legacy one does not wait for, which is memory.

use std::process::Command;

use anyhow::{Context as _, ensure};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Machine {
    /// The legacy server.
    Legacy,
    /// The service's server, the sync and the validation.
    New,
}

impl Machine {
    /// This process moves there, and what it starts from then on stays there.
    pub(crate) fn enter(self) -> anyhow::Result<()> {
        let output = Command::new("taskset")
            .args(["--all-tasks", "--cpu-list", "--pid", &self.cores()?])
            .arg(std::process::id().to_string())
            .output()
            .context("taskset, of util-linux, cannot be run")?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "taskset: {told}");
        Ok(())
    }

    /// Clients of the legacy server are on a third machine: on cores of the new one, but before everything else there, so that what
    /// they measure is not their own waiting.
    pub(crate) fn clients(program: &std::path::Path) -> anyhow::Result<tokio::process::Command> {
        let mut command = tokio::process::Command::new("chrt");
        command.args(["--fifo", "1", "taskset", "--cpu-list", &Self::New.cores()?]);
        command.arg(program);
        Ok(command)
    }

    fn cores(self) -> anyhow::Result<String> {
        let all = cores()?;
        ensure!(all > 1, "two machines need two cores");
        Ok(match self {
            Self::Legacy => format!("0-{}", all / 2 - 1),
            Self::New => format!("{}-{}", all / 2, all - 1),
        })
    }
}

/// Whatever this process was allowed: once it has moved, it sees its own half only.
pub(crate) fn cores() -> anyhow::Result<usize> {
    static CORES: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let all = std::thread::available_parallelism()?.get();
    Ok(*CORES.get_or_init(|| all))
}

/// Where the files of the new machine's server are.
pub(crate) const MEMORY: &str = "/dev/shm";
