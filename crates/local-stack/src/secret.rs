//! Generated passwords and files that only their owner may read.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rand::Rng as _;
use rand::distr::Alphanumeric;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{IoContext as _, StackError};

/// A password of 32 letters and digits (190 bits): no character needs escaping in a URL or in SQL.
pub(crate) fn password() -> String {
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(32)
        .map(char::from)
        .collect()
}

/// Writes a file that its owner alone may read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), StackError> {
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .at("create", &temporary)?;
    file.write_all(content).at("write", &temporary)?;
    drop(file);
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600)).at("restrict", &temporary)?;
    fs::rename(&temporary, path).at("move into place", path)
}

/// Writes a value as private, readable JSON.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StackError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| StackError::Other(error.to_string()))?;
    text.push(b'\n');
    write_private(path, &text)
}

/// Reads a JSON file; `None` where there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(
    path: &Path,
    what: &'static str,
) -> Result<Option<T>, StackError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).at("read", path),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| StackError::Damaged {
            path: path.to_owned(),
            what,
            message: error.to_string(),
        })
}
