//! Prints the effective configuration: TOML, each value with where it came from, secrets redacted.

use std::fmt::Write;

use ::config::{Map, Value, ValueKind};
use url::Url;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";

/// Words in a key that make its value a secret, should a service have forgotten to declare it.
const SECRET_WORDS: [&str; 5] = ["password", "secret", "token", "api_key", "private_key"];

pub(super) fn toml(tree: &Map<String, Value>, secrets: &[&str]) -> String {
    let mut out = String::new();
    let mut keys: Vec<&String> = tree.keys().collect();
    keys.sort_by_key(|key| (matches!(tree[*key].kind, ValueKind::Table(_)), (*key).clone()));
    for key in keys {
        write_entry(&mut out, key, key, &tree[key], secrets);
    }
    out
}

fn write_entry(out: &mut String, path: &str, key: &str, value: &Value, secrets: &[&str]) {
    if let ValueKind::Table(table) = &value.kind {
        if !out.is_empty() {
            out.push('\n');
        }
        let _ = writeln!(out, "[{path}]");
        let mut keys: Vec<&String> = table.keys().collect();
        keys.sort_by_key(|key| (matches!(table[*key].kind, ValueKind::Table(_)), (*key).clone()));
        for key in keys {
            write_entry(out, &format!("{path}.{key}"), key, &table[key], secrets);
        }
        return;
    }
    let shown = if secrets.contains(&path) {
        toml::Value::String(redact(value))
    } else if SECRET_WORDS.iter().any(|word| key.contains(word)) {
        toml::Value::String(REDACTED.to_owned())
    } else {
        plain(value)
    };
    let origin = super::layer::origin(value).unwrap_or_default();
    let _ = writeln!(out, "{key} = {shown} # {origin}");
}

fn plain(value: &Value) -> toml::Value {
    match &value.kind {
        ValueKind::Boolean(value) => toml::Value::Boolean(*value),
        ValueKind::I64(value) => toml::Value::Integer(*value),
        ValueKind::Float(value) => toml::Value::Float(*value),
        ValueKind::Array(values) => toml::Value::Array(values.iter().map(plain).collect()),
        ValueKind::String(text) => {
            toml::Value::String(without_password(text).unwrap_or_else(|| text.clone()))
        }
        _ => toml::Value::String(value.to_string()),
    }
}

/// A secret URL keeps what an operator needs to see (scheme, user, host, path); anything else is hidden whole.
fn redact(value: &Value) -> String {
    let shown = match &value.kind {
        ValueKind::String(text) => Url::parse(text).ok().filter(Url::has_host).and_then(|mut url| {
            url.set_query(None);
            url.set_fragment(None);
            if url.password().is_some() {
                url.set_password(Some(REDACTED)).ok()?;
            }
            Some(readable(&url))
        }),
        _ => None,
    };
    shown.unwrap_or_else(|| REDACTED.to_owned())
}

fn without_password(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok().filter(|url| url.password().is_some())?;
    url.set_password(Some(REDACTED)).ok()?;
    Some(readable(&url))
}

fn readable(url: &Url) -> String {
    url.as_str().replace("%5Bredacted%5D", REDACTED)
}
