//! The service's own sections of the configuration; `config.default.toml` explains every key.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use banyan_db::DbConfig;
use secrecy::SecretString;
use serde::Deserialize;

/// The service's own sections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[legacy]`
    pub legacy: Legacy,
    /// `[sync]`
    pub sync: Sync,
    /// `[validation]`
    pub validation: Validation,
    /// `[schedule]`
    pub schedule: Schedule,
    /// `[domains.<name>]`
    #[serde(default)]
    pub domains: BTreeMap<String, Domain>,
    /// `[operators.<name>]`
    #[serde(default)]
    pub operators: BTreeMap<String, Operator>,
}

/// Secrets of the sections above.
pub(crate) const SECRETS: &[&str] = &[
    "legacy.database.url",
    "sync.legacy_url",
    "domains.payments.url",
    "domains.users.url",
    "domains.notifications.url",
    "domains.reporting.url",
];

/// The monolith.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Legacy {
    /// The CloudEvents source of its events.
    pub source: String,
    /// Its database.
    pub database: DbConfig,
}

/// The syncs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// The monolith's database, for the syncs.
    pub legacy_url: Option<SecretString>,
    /// Begins the names of slots and replication origins.
    pub slot_prefix: String,
    /// Those of this process; empty for all.
    pub domains: Vec<String>,
    /// Rows of a chunk of the first copy.
    pub chunk_rows: NonZeroU32,
    /// Chunks at the same time.
    pub workers: NonZeroU32,
    /// The pause after a chunk as a share of what it took.
    pub pause_percent: u32,
    /// The copy's limit; 0 for none.
    pub rows_per_second: u32,
}

/// Comparing both sides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Rows of a sample.
    pub sample_size: NonZeroU32,
    /// What is too much, in millionths of the rows that were compared.
    pub max_mismatch_ppm: u32,
    /// Of which a single row is.
    pub strict_tables: Vec<String>,
    /// Rows of a range of a full validation.
    pub range_rows: NonZeroU32,
    /// The pause after a range as a share of what it took.
    pub pause_percent: u32,
    /// Differences of a table that are looked into.
    pub most_differences: usize,
    /// How long to wait for the sync.
    pub patience_seconds: u64,
}

/// Cron expressions.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Of a sample.
    pub sample: String,
    /// Of a full validation.
    pub full: String,
}

/// A domain that moves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// The service's database.
    pub url: SecretString,
    /// Its mapping, where it did not come with the program.
    pub mapping: Option<PathBuf>,
}

/// Who may use the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// What the operator may do.
    pub role: OperatorRole,
    /// SHA-256 of the token, in hex.
    pub token_sha256: String,
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub enum OperatorRole {
    /// Look.
    Viewer,
    /// Everything.
    Operator,
}
