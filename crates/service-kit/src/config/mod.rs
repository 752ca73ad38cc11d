//! Layered configuration that refuses what it does not know.
//!
//! The layers, each over the one before: the kit's defaults, the service's compiled-in `config.default.toml`, the file
//! named by `--config`, and environment variables `BANYAN_<SERVICE>__<SECTION>__<KEY>`. A value keeps where it came
//! from, so that an error names the key *and* the file or variable that holds it, and `config` prints it beside the value.
//!
//! A secret (`database.url`, `broker.url` and those that the service declares) may be given as `<key>_file` instead:
//! the path of a file that holds it, as mounted by container platforms.

mod error;
mod kit;
mod layer;
mod render;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use ::config::{Map, Value, ValueKind};
use serde::de::DeserializeOwned;

pub use error::ConfigError;
pub use kit::{AuthConfig, HttpConfig, KitConfig, RuntimeConfig, ShutdownConfig};

use crate::service::Service;
use layer::Layer;

/// The loaded configuration of a service.
#[derive(Debug, Clone)]
pub struct Loaded<C> {
    /// The sections that every service has.
    pub kit: Arc<KitConfig>,
    /// The service's own sections.
    pub service: C,
    rendered: String,
}

impl<C> Loaded<C> {
    /// The effective configuration as TOML, each value with where it came from, secrets redacted.
    pub fn rendered(&self) -> &str {
        &self.rendered
    }
}

/// Loads the configuration of `S`; `environment` is normally [`std::env::vars_os`].
pub fn load<S: Service>(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded<S::Config>, ConfigError> {
    let prefix = env_prefix(S::NAME);
    let secrets: Vec<&str> = kit::SECRETS.iter().chain(S::SECRETS).copied().collect();

    let name = format!("[broker]\nconnection_name = \"{}\"", S::NAME);
    let mut layers = vec![
        Layer::toml("the defaults of every service", kit::DEFAULTS)?,
        Layer::toml("the service's name", &name)?,
        Layer::toml(&format!("the defaults of {}", S::NAME), S::DEFAULT_CONFIG)?,
    ];
    if let Some(path) = file {
        layers.push(Layer::file(path)?);
    }
    layers.push(Layer::environment(&prefix, environment)?);

    let mut builder = ::config::Config::builder();
    for layer in layers {
        builder = builder.add_source(layer.with_secret_files(&secrets)?);
    }
    let merged = builder
        .build()
        .map_err(|error| ConfigError::Invalid(error.to_string()))?
        .cache;
    let ValueKind::Table(tree) = merged.kind else {
        return Err(ConfigError::Invalid(
            "the configuration is not a table".to_owned(),
        ));
    };

    let (shared, own): (Map<String, Value>, Map<String, Value>) = tree
        .clone()
        .into_iter()
        .partition(|(section, _)| kit::SECTIONS.contains(&section.as_str()));
    let reader = Reader {
        prefix: &prefix,
        secrets: &secrets,
        tree: &tree,
    };
    Ok(Loaded {
        kit: Arc::new(reader.read(shared)?),
        service: reader.read(own)?,
        rendered: render::toml(&tree, &secrets),
    })
}

/// `BANYAN_<SERVICE>__`.
pub(crate) fn env_prefix(service: &str) -> String {
    format!("BANYAN_{}__", service.to_uppercase().replace('-', "_"))
}

/// Reads sections into a struct and explains what does not fit.
struct Reader<'a> {
    prefix: &'a str,
    secrets: &'a [&'a str],
    tree: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn read<T: DeserializeOwned>(&self, sections: Map<String, Value>) -> Result<T, ConfigError> {
        let mut ignored = Vec::new();
        let root = Value::new(None, ValueKind::Table(sections));
        let mut note = |path: serde_ignored::Path<'_>| ignored.push(path.to_string());
        let read: Result<T, _> =
            serde_path_to_error::deserialize(serde_ignored::Deserializer::new(root, &mut note));
        let value = read.map_err(|error| self.explain(&error))?;
        match ignored.into_iter().next() {
            // A struct without `deny_unknown_fields` must not let a misspelt key pass either.
            Some(key) => Err(self.unknown(key, None)),
            None => Ok(value),
        }
    }

    fn explain(&self, error: &serde_path_to_error::Error<::config::ConfigError>) -> ConfigError {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let inner = innermost(error.inner());
        if let ::config::ConfigError::NotFound(field) = inner {
            // The `config` crate has put the sections before the field already, but not always.
            let key = if field.starts_with(&path) {
                field.clone()
            } else {
                join(&path, field)
            };
            return self.missing(key);
        }
        let message = inner.to_string();
        if let Some((field, expected)) = error::unknown_field(&message) {
            let key = if path.ends_with(&field) {
                path
            } else {
                join(&path, &field)
            };
            return self.unknown(key, expected);
        }
        let message = if self.secrets.contains(&path.as_str()) {
            "is not valid (a secret, so it is not shown)".to_owned()
        } else {
            error::without_origin(inner)
        };
        ConfigError::BadValue {
            origin: self.origin(&path),
            key: path,
            message,
        }
    }

    fn unknown(&self, key: String, expected: Option<String>) -> ConfigError {
        ConfigError::UnknownKey {
            origin: self.origin(&key),
            key,
            expected,
        }
    }

    fn missing(&self, key: String) -> ConfigError {
        let variable = format!("{}{}", self.prefix, key.to_uppercase().replace('.', "__"));
        let or_file = if self.secrets.contains(&key.as_str()) {
            format!(" (or {variable}_FILE, the path of a file that holds it)")
        } else {
            String::new()
        };
        ConfigError::Missing {
            key,
            variable,
            or_file,
        }
    }

    fn origin(&self, key: &str) -> String {
        layer::find(self.tree, key)
            .and_then(layer::origin)
            .unwrap_or_else(|| "the configuration".to_owned())
    }
}

fn join(parent: &str, field: &str) -> String {
    if parent.is_empty() {
        field.to_owned()
    } else {
        format!("{parent}.{field}")
    }
}

fn innermost(error: &::config::ConfigError) -> &::config::ConfigError {
    match error {
        ::config::ConfigError::At { error, .. } => innermost(error),
        other => other,
    }
}
