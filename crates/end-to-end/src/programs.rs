//! What stands outside the workspace: the repository's folders and the monolith's Python.

use std::path::{Path, PathBuf};

use banyan_local_stack::python;

/// The repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// The Python interpreter with the monolith's requirements and the Python client; made on first use.
///
/// # Errors
/// pip's words.
pub fn python() -> anyhow::Result<PathBuf> {
    Ok(python::test_environment(&root())?.program("python"))
}
