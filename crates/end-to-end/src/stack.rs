//! The whole local stack under test, brought up by `cargo xtask up` with its state and its ports apart from everything else.

use std::path::PathBuf;
use std::process::Output;

use anyhow::{Context as _, ensure};
use banyan_local_stack::stack::{Layout, StackRecord};
use banyan_test_support::binary;
use reqwest::{Client, Method, Response};
use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::process::Command;

use crate::programs;

/// Moves every port of the stack above the range from which the kernel takes the ports of outgoing connections.
const FIRST_OFFSET: u16 = 5_600;
/// How many offsets fit between that and the last port.
const OFFSETS: u32 = 4_000;

/// A stack. Dropping it ends every process, also when the test failed.
#[derive(Debug)]
pub struct Stack {
    layout: Layout,
    client: Client,
    // Last, so that the processes end before their files go.
    _dir: TempDir,
}

impl Stack {
    /// A place for a stack; nothing runs yet.
    ///
    /// # Errors
    /// Where no directory can be made.
    pub fn new() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("banyan-stack-").tempdir()?;
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
        let offset = FIRST_OFFSET + u16::try_from(std::process::id() % OFFSETS)?;
        let layout = Layout::new(&programs::root(), &dir.path().join("state"), offset)?;
        Ok(Self {
            layout,
            client: banyan_test_support::client(),
            _dir: dir,
        })
    }

    /// Runs `cargo xtask` with these arguments.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub async fn xtask(&self, args: &[&str]) -> anyhow::Result<Output> {
        Command::from(self.command(args))
            .output()
            .await
            .context("start xtask")
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(binary("xtask"));
        command
            .args(args)
            .current_dir(programs::root())
            // Where cargo would say that the task lives; a test runner says where the test does.
            .env("CARGO_MANIFEST_DIR", programs::root().join("xtask"))
            .env("BANYAN_STATE_DIR", &self.layout.state)
            .env("BANYAN_PORT_OFFSET", self.layout.offset.to_string());
        command
    }

    /// The same, for a task that must succeed; returns what it printed.
    ///
    /// # Errors
    /// What the task printed where it fails.
    pub async fn xtask_ok(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.xtask(args).await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "cargo xtask {args:?}: {}\n{text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(text)
    }

    /// What `up` recorded.
    ///
    /// # Errors
    /// Where there is no record.
    pub fn record(&self) -> anyhow::Result<StackRecord> {
        Ok(StackRecord::load(&self.layout)?)
    }

    /// A database of the stack, as the role that owns it.
    ///
    /// # Errors
    /// Where the stack was not brought up.
    pub fn database(&self, name: &str) -> anyhow::Result<PgPool> {
        let record = self.record()?;
        let url = record
            .credentials
            .get(&format!("database.{name}"))
            .context("the database's URL")?;
        Ok(PgPool::connect_lazy(url)?)
    }

    /// The directory of the Maildir's new mails.
    pub fn mails(&self) -> PathBuf {
        self.layout.file("mail/new")
    }

    /// Sends a request through the gateway.
    ///
    /// # Errors
    /// Where the gateway does not answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> anyhow::Result<Response> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.layout.url("gateway")));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Ok(request.send().await?)
    }

    /// The tree of a trace, as the collector shows it.
    ///
    /// # Errors
    /// Where the collector does not answer.
    pub async fn spans(&self, trace_id: &str) -> anyhow::Result<Vec<Value>> {
        let url = format!("{}/traces/{trace_id}.json", self.layout.url("traces"));
        let response = self.client.get(url).send().await?;
        if !response.status().is_success() {
            return Ok(Vec::new());
        }
        Ok(response.json().await?)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = self.command(&["down", "--purge"]).output();
    }
}
