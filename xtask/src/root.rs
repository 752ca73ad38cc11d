//! Where the repository is.

use std::path::{Path, PathBuf};

use banyan_local_stack::stack::Layout;

/// The root of this workspace.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
    let xtask = manifest.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| xtask.clone(), Path::to_owned)
}

/// The stack of this workspace, as the environment says.
pub(crate) fn layout() -> anyhow::Result<Layout> {
    Ok(Layout::from_env(&root())?)
}

/// The cargo that runs this.
pub(crate) fn cargo() -> std::process::Command {
    banyan_local_stack::cargo::cargo(&root())
}
