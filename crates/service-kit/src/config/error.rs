//! What can be wrong with a configuration.

use std::path::PathBuf;

/// A configuration that cannot be used. The message names the key, where it was set and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file of `--config` or of a `<key>_file` cannot be read.
    #[error("cannot read {}, named by {named_by}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// `--config`, or the key and where it was set.
        named_by: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not TOML.
    #[error("{origin} is not valid TOML: {message}")]
    Syntax {
        /// The file.
        origin: String,
        /// Line, column and what was expected.
        message: String,
    },
    /// A key that no part of the service reads; most often a misspelling.
    #[error("unknown key `{key}` in {origin}{}", .expected.as_deref().map(|keys| format!("; known here: {keys}")).unwrap_or_default())]
    UnknownKey {
        /// The dotted key.
        key: String,
        /// The file or the environment variable.
        origin: String,
        /// The keys that would be known in its place.
        expected: Option<String>,
    },
    /// A value of the wrong type or outside its range.
    #[error("bad value for `{key}` in {origin}: {message}")]
    BadValue {
        /// The dotted key.
        key: String,
        /// The file or the environment variable.
        origin: String,
        /// What is wrong with it; a secret is never shown.
        message: String,
    },
    /// A key without a default is not set anywhere.
    #[error(
        "`{key}` is not set: set the environment variable {variable}{or_file}, or `{key}` in a file named by --config"
    )]
    Missing {
        /// The dotted key.
        key: String,
        /// The environment variable that would set it.
        variable: String,
        /// The variant for secrets.
        or_file: String,
    },
    /// A secret is given both as `<key>` and as `<key>_file` in one place.
    #[error("both `{key}` and `{key}_file` are set in {origin}: keep one")]
    SecretTwice {
        /// The dotted key.
        key: String,
        /// The file or the environment.
        origin: String,
    },
    /// Anything else.
    #[error("the configuration is not usable: {0}")]
    Invalid(String),
}

/// Takes serde's "unknown field `x`, expected …" apart.
pub(super) fn unknown_field(message: &str) -> Option<(String, Option<String>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (field, rest) = rest.split_once('`')?;
    let expected = rest
        .strip_prefix(", expected one of ")
        .or_else(|| rest.strip_prefix(", expected "))
        .map(|keys| keys.replace('`', ""));
    Some((field.to_owned(), expected))
}

/// The message of an error without the key and the origin, which [`ConfigError`] tells in its own way.
pub(super) fn without_origin(error: &::config::ConfigError) -> String {
    match error {
        ::config::ConfigError::Type {
            unexpected, expected, ..
        } => {
            format!("invalid type: {unexpected}, expected {expected}")
        }
        other => other.to_string(),
    }
}
