//! Building the binaries that the stack runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use crate::cargo::cargo;
use crate::error::{IoContext as _, StackError};
use crate::progress::Step;

/// Everything that `up`, `test` and `generate` run is built by this one command: another selection of packages unifies
/// features differently, and cargo then compiles the dependencies once more.
const BUILD: [&str; 5] = ["build", "--workspace", "--exclude", "xtask", "--bins"];

/// Paths of built binaries by name.
pub type Binaries = BTreeMap<String, PathBuf>;

#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Builds the binaries with cargo and says where they are.
pub async fn build(root: &Path, release: bool, step: &Step) -> Result<Binaries, StackError> {
    let mut command = Command::from(cargo(root));
    command
        .args(BUILD)
        .arg("--message-format=json-render-diagnostics");
    if release {
        command.arg("--release");
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().at("start cargo in", root)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (binaries, said) = tokio::join!(executables(stdout), follow(stderr, step));
    let status = child.wait().await.at("wait for cargo in", root)?;
    if status.success() {
        return Ok(binaries);
    }
    Err(StackError::Command {
        command: "cargo build".to_owned(),
        status: status.to_string(),
        output: said,
    })
}

async fn executables(stdout: Option<impl AsyncRead + Unpin>) -> Binaries {
    let mut found = Binaries::new();
    let Some(stdout) = stdout else { return found };
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(Message {
            executable: Some(path),
            target: Some(target),
        }) = serde_json::from_str(&line)
        {
            found.insert(target.name, path);
        }
    }
    found
}

/// Shows what cargo compiles, and returns what it said besides: the errors.
async fn follow(stderr: Option<impl AsyncRead + Unpin>, step: &Step) -> String {
    let mut said = Vec::new();
    let mut compiled = 0_u32;
    let Some(stderr) = stderr else {
        return String::new();
    };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match line.trim_start().strip_prefix("Compiling ") {
            Some(package) => {
                compiled += 1;
                step.detail(&format!("building: {package} ({compiled} so far)"));
            }
            None => said.push(line),
        }
    }
    said.join("\n")
}
