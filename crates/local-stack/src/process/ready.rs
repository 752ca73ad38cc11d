//! Waiting until a process answers.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::Identity;
use crate::error::StackError;
use crate::log_excerpt;

/// How to ask a process whether it is ready.
#[derive(Debug, Clone)]
pub enum Probe {
    /// The port accepts a connection.
    Tcp(u16),
    /// The URL answers 2xx.
    Http(String),
    /// The log of this start has a line with this text.
    LogLine(String),
    /// Nothing to ask: running is being ready.
    Alive,
}

/// The pace of probing: fast enough not to be felt, slow enough not to steal the starting process its CPU.
const PACE: Duration = Duration::from_millis(50);

/// Waits until the probe succeeds. `log_mark` is where the log of this start begins.
pub async fn wait_ready(
    name: &str,
    process: &Identity,
    probe: &Probe,
    timeout: Duration,
    log: &Path,
    log_mark: u64,
) -> Result<(), StackError> {
    let begin = Instant::now();
    loop {
        let last = match ask(probe, log, log_mark).await {
            Ok(()) if process.is_alive() => return Ok(()),
            Ok(()) => "answered by another process".to_owned(),
            Err(reason) => reason,
        };
        if !process.is_alive() {
            return Err(StackError::Died {
                name: name.to_owned(),
                log: log_excerpt::explain(log, log_mark),
            });
        }
        if begin.elapsed() > timeout {
            let log = log_excerpt::explain(log, log_mark);
            return Err(StackError::NotReady {
                name: name.to_owned(),
                waited: timeout,
                last,
                log,
            });
        }
        tokio::time::sleep(PACE).await;
    }
}

async fn ask(probe: &Probe, log: &Path, log_mark: u64) -> Result<(), String> {
    match probe {
        Probe::Alive => Ok(()),
        Probe::LogLine(text) => log_excerpt::contains(log, log_mark, text)
            .then_some(())
            .ok_or_else(|| format!("no log line with `{text}` yet")),
        Probe::Tcp(port) => TcpStream::connect((Ipv4Addr::LOCALHOST, *port))
            .await
            .map(drop)
            .map_err(|error| format!("port {port}: {error}")),
        Probe::Http(url) => {
            let answer = crate::http::client()
                .get(url)
                .send()
                .await
                .map_err(|error| error.to_string())?;
            let status = answer.status();
            status
                .is_success()
                .then_some(())
                .ok_or_else(|| format!("{url} answered {status}"))
        }
    }
}
