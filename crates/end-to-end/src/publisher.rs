//! The monolith's end of the road: a Django process that commits events one after the other.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::programs;

/// What to publish, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Users who sign up first.
    pub users: usize,
    /// Events in all, the sign-ups included.
    pub events: usize,
    /// Events per second, at most.
    pub rate: usize,
}

/// The running publisher.
#[derive(Debug)]
pub struct Publisher {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    committed: usize,
}

impl Publisher {
    /// Starts `publisher/publish.py` with the monolith's environment variables.
    ///
    /// # Errors
    /// Where Python or the script cannot be started.
    pub fn start(load: Load, environment: &[(String, String)]) -> anyhow::Result<Self> {
        let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "publisher", "publish.py"]
            .iter()
            .collect();
        let mut child = Command::new(programs::python()?)
            .arg(script)
            .args(["--users", &load.users.to_string()])
            .args(["--events", &load.events.to_string()])
            .args(["--rate", &load.rate.to_string()])
            .current_dir(programs::root().join("monolith"))
            .env("PYTHONPATH", programs::root().join("monolith"))
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the publisher")?;
        let stdout = child.stdout.take().context("the publisher's output")?;
        Ok(Self {
            child,
            lines: BufReader::new(stdout).lines(),
            committed: 0,
        })
    }

    /// Waits until `count` events are committed, or the publisher has ended.
    ///
    /// # Errors
    /// Where the publisher fails.
    pub async fn committed(&mut self, count: usize) -> anyhow::Result<()> {
        while self.committed < count {
            if self.lines.next_line().await?.is_none() {
                break;
            }
            self.committed += 1;
        }
        Ok(())
    }

    /// Waits for its end and returns how many events it committed.
    ///
    /// # Errors
    /// Where the publisher fails.
    pub async fn finish(mut self) -> anyhow::Result<usize> {
        self.committed(usize::MAX).await?;
        let status = self.child.wait().await?;
        ensure!(status.success(), "the publisher ended with {status}");
        Ok(self.committed)
    }
}
