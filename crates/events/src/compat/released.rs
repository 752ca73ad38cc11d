//! The schemas that consumers in the field were built against.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Breaking, Change, check};
use crate::generate;

/// Where the frozen copies of the released schemas are, from the repository's root.
pub const RELEASED: &str = "crates/events/released";

/// A released schema and what the current types break in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BrokenSchema {
    /// The released file's stem: `user.signup.v1`.
    pub schema: String,
    /// Every breaking change, never empty.
    pub breaking: Vec<Breaking>,
}

/// Why the released schemas could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReleasedError {
    /// The directory or a file in it cannot be read.
    #[error("cannot read released schemas at {}: {source}", path.display())]
    Read {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file in the directory is not a schema.
    #[error("{} is not a JSON Schema: {source}; restore it from the history", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A file that is not named `<type>.v<major>.json`.
    #[error("{} is not named <type>.v<major>.json", .0.display())]
    Name(PathBuf),
}

/// Compares the current types against the schemas released under `repository_root`.
///
/// # Errors
/// [`ReleasedError`] when the released schemas cannot be read.
pub fn check_released(repository_root: &Path) -> Result<Vec<BrokenSchema>, ReleasedError> {
    let current: BTreeMap<String, Value> = generate::schemas().into_iter().collect();
    let broken = released(&repository_root.join(RELEASED))?
        .into_iter()
        .filter_map(|(schema, old)| {
            let breaking = check_stem(&schema, &old, &current);
            (!breaking.is_empty()).then_some(BrokenSchema { schema, breaking })
        });
    Ok(broken.collect())
}

/// The released schemas by file stem, in the stems' order.
fn released(directory: &Path) -> Result<BTreeMap<String, Value>, ReleasedError> {
    let unreadable = |source| ReleasedError::Read {
        path: directory.into(),
        source,
    };
    let mut schemas = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .filter(|stem| split(stem).is_some());
        let stem = stem.ok_or_else(|| ReleasedError::Name(path.clone()))?.to_owned();
        let text = fs::read(&path).map_err(|source| ReleasedError::Read {
            path: path.clone(),
            source,
        })?;
        let schema = serde_json::from_slice(&text).map_err(|source| ReleasedError::Json { path, source })?;
        schemas.insert(stem, schema);
    }
    Ok(schemas)
}

/// `user.signup.v1` → (`user.signup`, 1).
fn split(stem: &str) -> Option<(&str, u32)> {
    let (name, major) = stem.rsplit_once(".v")?;
    Some((name, major.parse().ok()?))
}

fn check_stem(stem: &str, old: &Value, current: &BTreeMap<String, Value>) -> Vec<Breaking> {
    if let Some(new) = current.get(stem) {
        return check(old, new);
    }
    // A later major version may replace this one: it is another schema, and consumers say which they read.
    let succeeded = current.keys().filter_map(|key| split(key)).any(|(name, major)| {
        split(stem)
            .is_some_and(|(released_name, released_major)| name == released_name && major > released_major)
    });
    if succeeded {
        Vec::new()
    } else {
        vec![Breaking {
            path: ".".into(),
            change: Change::TypeRemoved,
        }]
    }
}

/// The files that a release freezes: every current schema, as (path from the repository's root, content).
///
/// Written only when [`check_released`] finds nothing, and never by hand: what is frozen is what consumers have.
pub fn release_files() -> Vec<(PathBuf, String)> {
    let frozen = |(stem, schema): (String, Value)| {
        (
            Path::new(RELEASED).join(format!("{stem}.json")),
            generate::pretty(&schema),
        )
    };
    generate::schemas().into_iter().map(frozen).collect()
}

impl fmt::Display for BrokenSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} breaks existing readers:", self.schema)?;
        for breaking in &self.breaking {
            writeln!(formatter, "  - {breaking}")?;
        }
        write!(
            formatter,
            "  undo the change, or give the type a new major version in crates/events/src/event.rs"
        )
    }
}
