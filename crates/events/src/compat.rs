//! Keeps a change of an event type from breaking those who read what was released.
//!
//! Two directions must hold within one major version: consumers already deployed read what the changed producer writes,
//! and a consumer built from the changed types reads events written before (retries, dead queues and replays hold them
//! for long). So only adding a type or an optional field passes; anything else is a new major version.

mod canonical;
mod released;

use std::{collections::BTreeSet, fmt};

use serde_json::{Map, Value};

pub(crate) use canonical::canonical;
pub use released::{BrokenSchema, RELEASED, ReleasedError, check_released, release_files};

/// One change that an existing reader would trip over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Breaking {
    /// The field, as a path from the payload: `userId`, `lines[].amountMinor`; `.` for the payload itself.
    pub path: String,
    /// What happened to it.
    pub change: Change,
}

/// The kinds of breaking change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// No current type has this name and major version or a later one.
    TypeRemoved,
    /// The field is gone, or has another name now.
    FieldRemoved,
    /// A new field that events written before do not have.
    RequiredFieldAdded,
    /// Events written before may lack it (or have null).
    MadeRequired,
    /// Consumers that require it may now get an event without it (or with null).
    MadeOptional,
    /// Another JSON type.
    Retyped {
        /// The types that were allowed.
        old: String,
        /// The types that are.
        new: String,
    },
    /// The closed set of values changed.
    EnumChanged {
        /// Values that consumers in the field do not know.
        added: Vec<String>,
        /// Values that events written before may have.
        removed: Vec<String>,
    },
    /// Another rule of the schema differs: format, pattern, bounds …
    RuleChanged {
        /// The JSON Schema keyword.
        keyword: String,
        /// Its value before; null when it was absent.
        old: Value,
        /// Its value now; null when it is absent.
        new: Value,
    },
}

/// Compares two schemas of one type and major version; empty when every existing reader is safe.
pub fn check(old_schema: &Value, new_schema: &Value) -> Vec<Breaking> {
    let mut comparison = Comparison::default();
    comparison.schema("", &canonical(old_schema), &canonical(new_schema));
    comparison.breaking
}

#[derive(Default)]
struct Comparison {
    breaking: Vec<Breaking>,
}

impl Comparison {
    fn report(&mut self, path: &str, change: Change) {
        let path = if path.is_empty() {
            ".".into()
        } else {
            path.to_owned()
        };
        let breaking = Breaking { path, change };
        // From `T` to `Option<T>` both `required` and the type's null change: it is said once.
        if !self.breaking.contains(&breaking) {
            self.breaking.push(breaking);
        }
    }

    fn schema(&mut self, path: &str, old: &Value, new: &Value) {
        let (Value::Object(old), Value::Object(new)) = (old, new) else {
            return self.rule(path, "schema", Some(old), Some(new));
        };
        let keywords: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for keyword in keywords {
            match (keyword.as_str(), old.get(keyword), new.get(keyword)) {
                ("required", ..) => {}
                ("properties", ..) => self.fields(path, old, new),
                ("items", Some(before), Some(after)) => self.schema(&format!("{path}[]"), before, after),
                ("type", Some(before), Some(after)) => self.types(path, before, after),
                ("enum", Some(before), Some(after)) => self.values(path, before, after),
                (rule, before, after) => self.rule(path, rule, before, after),
            }
        }
    }

    fn fields(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let nothing = Map::new();
        let was = old
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&nothing);
        let is = new
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&nothing);
        let (was_required, is_required) = (texts(old.get("required")), texts(new.get("required")));
        let field = |name: &String| {
            if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            }
        };
        for (name, before) in was {
            let Some(after) = is.get(name) else {
                self.report(&field(name), Change::FieldRemoved);
                continue;
            };
            match (was_required.contains(name), is_required.contains(name)) {
                (true, false) => self.report(&field(name), Change::MadeOptional),
                (false, true) => self.report(&field(name), Change::MadeRequired),
                _ => {}
            }
            self.schema(&field(name), before, after);
        }
        for name in is
            .keys()
            .filter(|name| !was.contains_key(*name) && is_required.contains(*name))
        {
            self.report(&field(name), Change::RequiredFieldAdded);
        }
    }

    fn types(&mut self, path: &str, old: &Value, new: &Value) {
        let (mut was, mut is) = (texts(Some(old)), texts(Some(new)));
        let (was_nullable, is_nullable) = (was.remove("null"), is.remove("null"));
        if was != is {
            let list = |types: BTreeSet<String>| types.into_iter().collect::<Vec<_>>().join("|");
            return self.report(
                path,
                Change::Retyped {
                    old: list(was),
                    new: list(is),
                },
            );
        }
        match (was_nullable, is_nullable) {
            (false, true) => self.report(path, Change::MadeOptional),
            (true, false) => self.report(path, Change::MadeRequired),
            _ => {}
        }
    }

    fn values(&mut self, path: &str, old: &Value, new: &Value) {
        let (was, is) = (texts(Some(old)), texts(Some(new)));
        if was != is {
            let added = is.difference(&was).cloned().collect();
            let removed = was.difference(&is).cloned().collect();
            self.report(path, Change::EnumChanged { added, removed });
        }
    }

    fn rule(&mut self, path: &str, keyword: &str, old: Option<&Value>, new: Option<&Value>) {
        if old != new {
            let value = |value: Option<&Value>| value.cloned().unwrap_or_default();
            self.report(
                path,
                Change::RuleChanged {
                    keyword: keyword.into(),
                    old: value(old),
                    new: value(new),
                },
            );
        }
    }
}

fn texts(list: Option<&Value>) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(text)
        .collect()
}

impl fmt::Display for Breaking {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.change {
            Change::TypeRemoved => formatter.write_str("the type is gone, existing consumers wait for it"),
            Change::FieldRemoved => write!(formatter, "`{path}` was removed or renamed"),
            Change::RequiredFieldAdded => {
                write!(
                    formatter,
                    "`{path}` is new and required, events written before do not have it"
                )
            }
            Change::MadeRequired => write!(formatter, "`{path}` was optional and is required now"),
            Change::MadeOptional => write!(formatter, "`{path}` was required and is optional now"),
            Change::Retyped { old, new } => write!(formatter, "`{path}` was {old} and is {new} now"),
            Change::EnumChanged { added, removed } => {
                write!(
                    formatter,
                    "the values of `{path}` changed (added: {added:?}, removed: {removed:?})"
                )
            }
            Change::RuleChanged { keyword, old, new } => {
                write!(formatter, "`{keyword}` of `{path}` was {old} and is {new} now")
            }
        }
    }
}
