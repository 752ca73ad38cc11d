//! `cargo xtask cutover`

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use banyan_local_stack::stack::{self, StackRecord};

use crate::root::{layout, root};

/// Runs a verb of cutover against the stack. The exit code is the verb's: scripts tell by it what a validation found.
pub(crate) fn cutover(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let layout = layout()?;
    let env = stack::cutover_env(&layout, &StackRecord::load(&layout)?)?;
    let program = root().join("target/debug/cutover");
    if !program.is_file() {
        bail!("{} is not there; `cargo xtask up` builds it", program.display());
    }
    let status = Command::new(&program)
        .args(args)
        .envs(env)
        .status()
        .with_context(|| format!("starting {}", program.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
