//! One process of the stack: how it is started, asked and stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::signal::Signal;
use sha2::{Digest as _, Sha256};

use super::record::ProcessRecord;
use crate::error::StackError;
use crate::ports;
use crate::process::{self, Probe, Spawn, wait_ready};
use crate::python::hex;

/// A running process whose dependencies were away gets this long to recover by itself before it is started again.
const RECOVERY: Duration = Duration::from_secs(20);

/// A process that the stack starts.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Name, as in the contracts.
    pub name: &'static str,
    /// Port on 127.0.0.1, where it has one.
    pub port: Option<u16>,
    /// URL, where it has one.
    pub url: Option<String>,
    /// How to start it.
    pub spawn: Spawn,
    /// How to know that it is ready after a start.
    pub ready: Probe,
    /// How to know that it still works.
    pub healthy: Probe,
    /// How long a start may take.
    pub timeout: Duration,
    /// Files and directories that it is made of: a change means a restart.
    pub sources: Vec<PathBuf>,
}

/// What `ensure` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ran and was right.
    Kept,
    /// It had never run, or was down.
    Started,
    /// It had died.
    Revived,
    /// It ran, but from other settings or code.
    Replaced,
    /// It ran but did not answer.
    Unstuck,
}

impl Outcome {
    /// For the progress line.
    pub fn text(self) -> &'static str {
        match self {
            Self::Kept => "runs already",
            Self::Started => "ready",
            Self::Revived => "had died; ready again",
            Self::Replaced => "changed; restarted",
            Self::Unstuck => "did not answer; restarted",
        }
    }
}

impl Unit {
    /// A process that is ready and healthy when the URL answers.
    pub fn http(name: &'static str, port: u16, path: &str, spawn: Spawn) -> Self {
        let url = format!("http://127.0.0.1:{port}");
        let probe = Probe::Http(format!("{url}{path}"));
        Self {
            url: Some(url),
            ..Self::new(name, Some(port), spawn, probe.clone(), probe)
        }
    }

    /// A process that is ready and healthy when the port takes connections.
    pub fn tcp(name: &'static str, port: u16, spawn: Spawn) -> Self {
        Self::new(name, Some(port), spawn, Probe::Tcp(port), Probe::Tcp(port))
    }

    /// A process with probes of its own.
    pub fn new(name: &'static str, port: Option<u16>, spawn: Spawn, ready: Probe, healthy: Probe) -> Self {
        let timeout = Duration::from_mins(1);
        Self {
            name,
            port,
            url: None,
            spawn,
            ready,
            healthy,
            timeout,
            sources: Vec::new(),
        }
    }

    /// Makes the process run and be ready, doing nothing where it is right already. `keep` gets the record as soon as
    /// there is a process, so that an interrupted `up` leaves nothing unknown behind.
    pub async fn ensure(
        &self,
        known: Option<ProcessRecord>,
        keep: impl FnOnce(ProcessRecord) -> Result<(), StackError>,
    ) -> Result<Outcome, StackError> {
        let fingerprint = self.fingerprint();
        let mut outcome = if known.is_some() {
            Outcome::Revived
        } else {
            Outcome::Started
        };
        if let Some(known) = known {
            if known.identity.is_alive() {
                if known.fingerprint == fingerprint && self.recovers(&known).await {
                    return Ok(Outcome::Kept);
                }
                outcome = if known.fingerprint == fingerprint {
                    Outcome::Unstuck
                } else {
                    Outcome::Replaced
                };
            }
            stop_record(&known).await?;
        }
        if let Some(port) = self.port {
            ports::require_free(self.name, port)?;
        }
        let mark = self.spawn.log_mark();
        let identity = self.spawn.start()?;
        keep(ProcessRecord {
            name: self.name.to_owned(),
            identity: identity.clone(),
            port: self.port,
            url: self.url.clone(),
            log: self.spawn.log.clone(),
            fingerprint,
        })?;
        wait_ready(
            self.name,
            &identity,
            &self.ready,
            self.timeout,
            &self.spawn.log,
            mark,
        )
        .await?;
        Ok(outcome)
    }

    /// Whether a running process answers, or does so soon.
    async fn recovers(&self, known: &ProcessRecord) -> bool {
        let log_end = self.spawn.log_mark();
        wait_ready(
            self.name,
            &known.identity,
            &self.healthy,
            RECOVERY,
            &known.log,
            log_end,
        )
        .await
        .is_ok()
    }

    /// Changes with the command, its settings, its program and its sources.
    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!(
            "{:?}{:?}{}",
            self.spawn.args,
            self.spawn.env,
            self.spawn.dir.display()
        ));
        let sources = self.sources.iter().map(PathBuf::as_path);
        for path in std::iter::once(self.spawn.program.as_path()).chain(sources) {
            hash_path(&mut hash, path);
        }
        hex(&hash.finalize())
    }
}

/// Name, size and time of change of a file, or of every file below a directory but what programs make by themselves.
fn hash_path(hash: &mut Sha256, path: &Path) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if metadata.is_dir() {
        let mut children: Vec<PathBuf> = fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        children.sort();
        let made = |child: &&PathBuf| {
            let name = child.file_name().unwrap_or_default().to_string_lossy();
            name != "__pycache__" && !name.starts_with('.') && !name.ends_with(".egg-info")
        };
        for child in children.iter().filter(made) {
            hash_path(hash, child);
        }
        return;
    }
    let changed = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    hash.update(format!(
        "{}|{}|{}\n",
        path.display(),
        metadata.len(),
        changed.as_nanos()
    ));
}

/// Stops a recorded process in its own way, and only if it is still the same one.
pub(super) async fn stop_record(record: &ProcessRecord) -> Result<(), StackError> {
    // nginx and gunicorn finish their requests on these; everything else does on SIGTERM.
    let signal = if record.name == "gateway" {
        Signal::SIGQUIT
    } else {
        Signal::SIGTERM
    };
    process::stop(&record.name, &record.identity, signal, Duration::from_secs(25)).await
}
