//! `cargo xtask manage`

use std::ffi::OsString;
use std::process::ExitCode;

use banyan_local_stack::stack::{self, StackRecord};

use crate::root::layout;
use crate::test;

/// Runs a management command of the monolith with the settings of the stack.
pub(crate) fn manage(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let layout = layout()?;
    let env = stack::monolith_env(&layout, &mut StackRecord::load(&layout)?)?;
    test::finish(stack::manage_py(&layout, &env).args(args), "manage.py")
}
