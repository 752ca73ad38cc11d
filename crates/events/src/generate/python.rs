//! `banyan/events.py`: what the publishing side of a Django code base knows about the event types.

use std::{collections::BTreeSet, fmt::Write};

use serde_json::Value;

use crate::{EventKind, compat::canonical};

const HEAD: &str = r#"# Generated from crates/events by `cargo xtask generate`; do not edit.
"""The domain events: a `TypedDict` per type for type checkers, and `EVENTS`, which `publish_event` checks data by."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NotRequired, TypedDict
from uuid import UUID

from banyan._fields import EventType, Field

__all__ = ["EVENTS", "EventName""#;

/// Python's reserved words, which cannot be the name of a class attribute.
const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// The module's text.
pub(super) fn module() -> String {
    let mut text = HEAD.to_owned();
    let mut exported: Vec<String> = EventKind::ALL.iter().map(|kind| format!("{kind:?}")).collect();
    exported.sort();
    for name in &exported {
        push(&mut text, format_args!(", \"{name}\""));
    }
    text.push_str("]\n");
    for kind in EventKind::ALL {
        text.push_str(&class(*kind));
    }
    text.push_str("\n\nEventName = Literal[\n");
    for kind in EventKind::ALL {
        push(&mut text, format_args!("    \"{}\",\n", kind.name()));
    }
    text.push_str("]\n\"\"\"The name of an event type.\"\"\"\n\nEVENTS: Final[dict[str, EventType]] = {\n");
    for kind in EventKind::ALL {
        text.push_str(&entry(*kind));
    }
    text.push_str("}\n\"\"\"Every event type by its name.\"\"\"\n");
    text
}

fn class(kind: EventKind) -> String {
    let doc = description(&kind.schema().to_value());
    let fields = fields(kind);
    if fields.iter().any(|field| KEYWORDS.contains(&field.name.as_str())) {
        return functional_class(kind, &doc, &fields);
    }
    let mut text = format!("\n\nclass {kind:?}(TypedDict):\n    \"\"\"{doc}\"\"\"\n");
    for field in fields {
        push(
            &mut text,
            format_args!("\n    {}: {}\n", field.name, field.hint()),
        );
        if !field.description.is_empty() {
            push(&mut text, format_args!("    \"\"\"{}\"\"\"\n", field.description));
        }
    }
    text
}

/// The form of a `TypedDict` that takes names which are no identifiers.
fn functional_class(kind: EventKind, doc: &str, fields: &[Field]) -> String {
    let mut text = format!("\n\n{kind:?} = TypedDict(\n    \"{kind:?}\",\n    {{\n");
    for field in fields {
        push(&mut text, format_args!("        # {}\n", field.description));
        // Evaluated here, unlike an annotation; quoted, so that names may come later.
        push(
            &mut text,
            format_args!(
                "        \"{}\": \"{}\",\n",
                field.name,
                field.hint().replace('"', "'")
            ),
        );
    }
    push(&mut text, format_args!("    }},\n)\n\"\"\"{doc}\"\"\"\n"));
    text
}

fn entry(kind: EventKind) -> String {
    let (name, major) = (kind.name(), kind.major());
    let mut text = format!(
        "    \"{name}\": EventType(\n        name=\"{name}\",\n        major={major},\n        fields={{\n"
    );
    for Field {
        name,
        check,
        required,
        ..
    } in fields(kind)
    {
        let optional = if required { "" } else { ", required=False" };
        push(
            &mut text,
            format_args!("            \"{name}\": Field({check}{optional}),\n"),
        );
    }
    text.push_str("        },\n    ),\n");
    text
}

/// A field of a payload as Python sees it.
struct Field {
    name: String,
    description: String,
    required: bool,
    /// The type hint.
    hint: String,
    /// The arguments of `banyan._fields.Field`.
    check: String,
}

impl Field {
    fn hint(&self) -> String {
        if self.required {
            self.hint.clone()
        } else {
            format!("NotRequired[{} | None]", self.hint)
        }
    }
}

fn fields(kind: EventKind) -> Vec<Field> {
    let schema = kind.schema().to_value();
    let shape = canonical(&schema);
    let required: BTreeSet<&str> = list(&shape, "required");
    let properties = shape.get("properties").and_then(Value::as_object);
    let field = |(name, shape): (&String, &Value)| {
        let (hint, check) = describe(shape).unwrap_or_else(|| {
            panic!("{kind:?}.{name}: no Python type for {shape}; teach crates/events/src/generate/python.rs and banyan/_fields.py")
        });
        let nullable = list(shape, "type").contains("null");
        Field {
            name: name.clone(),
            description: description(&schema["properties"][name]),
            required: required.contains(name.as_str()) && !nullable,
            hint,
            check,
        }
    };
    let mut fields: Vec<Field> = properties.into_iter().flatten().map(field).collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    fields
}

/// Type hint and check of one field's shape.
fn describe(shape: &Value) -> Option<(String, String)> {
    let types: Vec<&str> = list(shape, "type")
        .into_iter()
        .filter(|name| *name != "null")
        .collect();
    let format = shape.get("format").and_then(Value::as_str);
    let known: &[&str] = match (types.as_slice(), format) {
        (["string"], None) => &["type", "enum", "pattern"],
        _ => &["type", "format"],
    };
    // A rule that is not carried over would let through here what readers refuse.
    if shape
        .as_object()?
        .keys()
        .any(|keyword| !known.contains(&keyword.as_str()))
    {
        return None;
    }
    let values = list(shape, "enum");
    let (hint, check) = match (types.as_slice(), format) {
        (["integer"], Some("int64")) => ("int".into(), "\"integer\"".into()),
        (["integer"], Some("int32")) => ("int".into(), "\"integer\", bits=32".into()),
        (["boolean"], None) => ("bool".into(), "\"boolean\"".into()),
        (["string"], Some("date-time")) => ("datetime | str".into(), "\"time\"".into()),
        (["string"], Some("uuid")) => ("UUID | str".into(), "\"uuid\"".into()),
        (["string"], None) if !values.is_empty() => {
            let values: Vec<String> = values.into_iter().map(|value| format!("\"{value}\"")).collect();
            let values = values.join(", ");
            (
                format!("Literal[{values}]"),
                format!("\"text\", values=({values},)"),
            )
        }
        (["string"], None) => match shape.get("pattern").and_then(Value::as_str) {
            Some(pattern) => ("str".into(), format!("\"text\", pattern=r\"{pattern}\"")),
            None => ("str".into(), "\"text\"".into()),
        },
        _ => return None,
    };
    Some((hint, check))
}

fn list<'a>(shape: &'a Value, keyword: &str) -> BTreeSet<&'a str> {
    shape
        .get(keyword)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn description(schema: &Value) -> String {
    let text = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('\\', "\\\\")
        .replace("\"\"\"", "'''")
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
}
