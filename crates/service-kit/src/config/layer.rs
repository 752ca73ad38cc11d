//! One layer of the configuration: a table whose values know where they came from.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use ::config::{FileFormat, Format, Map, Source, Value, ValueKind};

use super::error::ConfigError;

/// A layer; [`Source`] for the `config` crate.
#[derive(Clone)]
pub(super) struct Layer {
    origin: String,
    values: Map<String, Value>,
}

// Written by hand: the values hold secrets.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ::config::ConfigError> {
        Ok(self.values.clone())
    }
}

impl Layer {
    /// A TOML text; `origin` is what errors call it.
    pub(super) fn toml(origin: &str, text: &str) -> Result<Self, ConfigError> {
        let origin = origin.to_owned();
        let values = FileFormat::Toml
            .parse(Some(&origin), text)
            .map_err(|error| ConfigError::Syntax {
                origin: origin.clone(),
                message: without_source_lines(&error.to_string()),
            })?;
        Ok(Self { origin, values })
    }

    /// The file named by `--config`.
    pub(super) fn file(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path, "--config")?;
        Self::toml(&path.display().to_string(), &text)
    }

    /// The environment variables that begin with `prefix`; `__` separates section and key.
    pub(super) fn environment(
        prefix: &str,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut values = Map::new();
        let mut variables: Vec<_> = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(prefix))
            .collect();
        variables.sort();
        for (name, value) in variables {
            let origin = format!("environment variable {name}");
            let key = name[prefix.len()..].to_lowercase();
            let value = value.into_string().map_err(|_| ConfigError::BadValue {
                key: key.replace("__", "."),
                origin: origin.clone(),
                message: "is not UTF-8".to_owned(),
            })?;
            insert(
                &mut values,
                &key.split("__").collect::<Vec<_>>(),
                parse(&origin, value),
                &origin,
            )?;
        }
        Ok(Self {
            origin: "the environment".to_owned(),
            values,
        })
    }

    /// Replaces each `<secret>_file` by the content of the file it names.
    pub(super) fn with_secret_files(mut self, secrets: &[&str]) -> Result<Self, ConfigError> {
        for secret in secrets {
            let Some((section, key)) = secret.rsplit_once('.') else {
                continue;
            };
            let Some(table) = table_mut(&mut self.values, section) else {
                continue;
            };
            let Some(named) = table.remove(&format!("{key}_file")) else {
                continue;
            };
            let origin = origin(&named).unwrap_or_else(|| self.origin.clone());
            if table.contains_key(key) {
                return Err(ConfigError::SecretTwice {
                    key: (*secret).to_owned(),
                    origin: self.origin,
                });
            }
            let path = named.into_string().map_err(|error| ConfigError::BadValue {
                key: format!("{secret}_file"),
                origin: origin.clone(),
                message: super::error::without_origin(&error),
            })?;
            let text = read(Path::new(&path), &format!("`{secret}_file` in {origin}"))?;
            let value = text.trim_end_matches(['\r', '\n']).to_owned();
            table.insert(
                key.to_owned(),
                Value::new(Some(&format!("{path}, named by {origin}")), value),
            );
        }
        Ok(self)
    }
}

/// The value at a dotted key.
pub(super) fn find<'a>(tree: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let (first, rest) = match key.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (key, None),
    };
    let value = tree.get(first.split('[').next().unwrap_or(first))?;
    match (rest, &value.kind) {
        (Some(rest), ValueKind::Table(table)) => find(table, rest).or(Some(value)),
        _ => Some(value),
    }
}

/// Where a value came from: its own origin, or that of the first value inside.
pub(super) fn origin(value: &Value) -> Option<String> {
    let inside = match &value.kind {
        ValueKind::Table(table) => table.values().find_map(origin),
        ValueKind::Array(values) => values.iter().find_map(origin),
        _ => None,
    };
    inside.or_else(|| value.origin().map(str::to_owned))
}

fn read(path: &Path, named_by: &str) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        named_by: named_by.to_owned(),
        source,
    })
}

/// The parser's message without the lines that quote the file: one of them may hold a secret.
fn without_source_lines(message: &str) -> String {
    let kept: Vec<&str> = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains('|'))
        .collect();
    kept.join(": ")
}

/// A variable's value: an array in TOML's notation when it looks like one, else text (which becomes a number or a
/// boolean where the key wants one).
fn parse(origin: &String, value: String) -> Value {
    if value.starts_with('[')
        && let Ok(mut table) = FileFormat::Toml.parse(Some(origin), &format!("value = {value}"))
        && let Some(parsed) = table.remove("value")
    {
        return parsed;
    }
    Value::new(Some(origin), value)
}

fn insert(
    table: &mut Map<String, Value>,
    path: &[&str],
    value: Value,
    origin: &String,
) -> Result<(), ConfigError> {
    let (first, rest) = match path {
        [] => return Ok(()),
        [only] => {
            table.insert((*only).to_owned(), value);
            return Ok(());
        }
        [first, rest @ ..] => (first, rest),
    };
    let entry = table
        .entry((*first).to_owned())
        .or_insert_with(|| Value::new(Some(origin), ValueKind::Table(Map::new())));
    match &mut entry.kind {
        ValueKind::Table(inner) => insert(inner, rest, value, origin),
        _ => Err(ConfigError::BadValue {
            key: path.join("."),
            origin: origin.clone(),
            message: format!("`{first}` is set as a value and as a section"),
        }),
    }
}

fn table_mut<'a>(values: &'a mut Map<String, Value>, path: &str) -> Option<&'a mut Map<String, Value>> {
    let mut table = values;
    for part in path.split('.') {
        match &mut table.get_mut(part)?.kind {
            ValueKind::Table(inner) => table = inner,
            _ => return None,
        }
    }
    Some(table)
}
