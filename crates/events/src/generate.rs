//! The files that are made from the event types and committed, for readers in other languages.
//!
//! Pure and deterministic: `cargo xtask generate` writes them, `cargo xtask tidy` compares them with what is committed.

mod asyncapi;
mod python;

use std::path::{Path, PathBuf};

use schemars::schema_for;
use serde_json::{Map, Value};

use crate::{Envelope, EventKind};

/// Directories in which every `.json` file is one of [`files`]; any other file there is a leftover to delete.
pub const OWNED_DIRECTORIES: &[&str] = &[SCHEMAS];

/// Where the schemas are, from the repository's root.
const SCHEMAS: &str = "crates/events/schemas";

/// Version of the envelope's shape; the CloudEvents version is in its `specversion`.
const ENVELOPE_MAJOR: u32 = 1;

/// Every generated file: path from the repository's root, and content.
///
/// # Panics
/// A payload has a shape the generator for Python does not know; the message names the field and where to add it.
pub fn files() -> Vec<(PathBuf, String)> {
    let schema =
        |(stem, schema): (String, Value)| (Path::new(SCHEMAS).join(format!("{stem}.json")), pretty(&schema));
    let mut files: Vec<_> = schemas().into_iter().map(schema).collect();
    files.push((
        "crates/events/asyncapi.json".into(),
        pretty(&asyncapi::document()),
    ));
    files.push(("clients/python/src/banyan/events.py".into(), python::module()));
    files
}

/// The JSON Schemas by file stem (`envelope.v1`, `user.signup.v1`), each with its `$id`.
pub fn schemas() -> Vec<(String, Value)> {
    let envelope = schema_for!(Envelope).to_value();
    let envelope = identified(envelope, &format!("urn:banyan:events:envelope:{ENVELOPE_MAJOR}"));
    let mut schemas = vec![(format!("envelope.v{ENVELOPE_MAJOR}"), envelope)];
    schemas.extend(EventKind::ALL.iter().map(|kind| {
        let stem = format!("{}.v{}", kind.name(), kind.major());
        (stem, identified(kind.schema().to_value(), &kind.dataschema()))
    }));
    schemas
}

/// Indented JSON with sorted keys and a final newline.
pub fn pretty(value: &Value) -> String {
    format!("{:#}\n", stable(value))
}

fn identified(mut schema: Value, id: &str) -> Value {
    schema["$id"] = id.into();
    schema
}

/// The same value with every object's keys in alphabetical order. serde_json sorts them itself unless some crate of the
/// build turns on its `preserve_order`; the output must not depend on who else is in the build.
pub(crate) fn stable(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let sorted: Map<_, _> = entries
                .into_iter()
                .map(|(key, value)| (key.clone(), stable(value)))
                .collect();
            sorted.into()
        }
        Value::Array(items) => items.iter().map(stable).collect(),
        other => other.clone(),
    }
}
