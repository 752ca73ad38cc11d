//! What stands outside the workspace: the repository's folders and the monolith's Python.

use std::path::{Path, PathBuf};

use banyan_local_stack::python;

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The Python interpreter with the monolith's requirements and the Python client; made on first use.
///
/// # Errors
/// pip's words.
pub fn python() -> anyhow::Result<PathBuf> {
    Ok(python::test_environment(&root())?.program("python"))
}
