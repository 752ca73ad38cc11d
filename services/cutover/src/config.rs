//! The service's own sections of the configuration; `config.default.toml` explains every key.

use banyan_db::DbConfig;
use serde::Deserialize;

/// The service's own sections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[legacy]`
    pub legacy: Legacy,
}

/// The monolith.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Legacy {
    /// The CloudEvents source of its events.
    pub source: String,
    /// Its database.
    pub database: DbConfig,
}
