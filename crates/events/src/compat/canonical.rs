//! One form for schemas that say the same in different words.

use serde_json::{Map, Value, json};

use crate::generate::stable;

/// Keywords that tell people something and change nothing in what is valid.
const ANNOTATIONS: &[&str] = &[
    "$id",
    "$schema",
    "$comment",
    "$defs",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// The schema with references inlined, annotations dropped, `const`s and unions of `const`s as one `enum`, nullable
/// unions as a nullable type, and every set sorted. For comparing and for generating code, not for validating: `enum`
/// of a nullable type does not list null.
pub(crate) fn canonical(schema: &Value) -> Value {
    resolve(schema, schema, 0)
}

/// Deeper than any payload; a recursive type ends here and compares by its remaining `$ref`.
const DEPTH: usize = 16;

fn resolve(schema: &Value, root: &Value, depth: usize) -> Value {
    let Value::Object(schema) = schema else {
        return schema.clone();
    };
    if depth > DEPTH {
        return Value::Object(schema.clone());
    }
    let mut resolved = Map::new();
    for (keyword, value) in schema {
        let value = match keyword.as_str() {
            annotation if ANNOTATIONS.contains(&annotation) => continue,
            "$ref" => {
                let target = value
                    .as_str()
                    .and_then(|path| root.pointer(path.strip_prefix('#')?));
                if let Some(Value::Object(target)) = target.map(|target| resolve(target, root, depth + 1)) {
                    resolved.extend(target);
                    continue;
                }
                value.clone()
            }
            "properties" => match value {
                Value::Object(fields) => fields
                    .iter()
                    .map(|(name, field)| (name.clone(), resolve(field, root, depth + 1)))
                    .collect(),
                other => other.clone(),
            },
            "oneOf" | "anyOf" | "allOf" => match value {
                Value::Array(branches) => sorted(
                    branches
                        .iter()
                        .map(|branch| resolve(branch, root, depth + 1))
                        .collect(),
                ),
                other => other.clone(),
            },
            "const" => {
                resolved.insert("enum".into(), json!([value]));
                continue;
            }
            "type" if value.is_string() => json!([value]),
            "type" | "enum" | "required" => sorted(value.as_array().cloned().unwrap_or_default()),
            _ => resolve(value, root, depth + 1),
        };
        resolved.insert(keyword.clone(), value);
    }
    fold_union(resolved)
}

/// `oneOf`/`anyOf` of constants becomes an `enum`, one of something and null becomes that something, nullable.
fn fold_union(mut schema: Map<String, Value>) -> Value {
    let Some(keyword) = ["oneOf", "anyOf"]
        .into_iter()
        .find(|keyword| schema.contains_key(*keyword))
    else {
        return Value::Object(schema);
    };
    let branches = schema
        .get(keyword)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let (null, others): (Vec<Value>, Vec<Value>) = branches
        .into_iter()
        .partition(|branch| *branch == json!({ "type": ["null"] }));
    let folded = match others.as_slice() {
        [only] => only.as_object().cloned(),
        many => constants(many),
    };
    let Some(mut folded) = folded else {
        return Value::Object(schema);
    };
    if !null.is_empty() {
        let mut types = folded
            .get("type")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if !types.contains(&json!("null")) {
            types.push(json!("null"));
        }
        folded.insert("type".into(), sorted(types));
    }
    schema.remove(keyword);
    schema.extend(folded);
    Value::Object(schema)
}

/// The common `enum` of branches that are nothing but constants of one type.
fn constants(branches: &[Value]) -> Option<Map<String, Value>> {
    let kind = branches.first()?.get("type")?;
    let mut values = Vec::new();
    for branch in branches {
        let branch = branch.as_object()?;
        if branch.len() != 2 || branch.get("type") != Some(kind) {
            return None;
        }
        values.extend(branch.get("enum")?.as_array()?.iter().cloned());
    }
    Some(Map::from_iter([
        ("type".into(), kind.clone()),
        ("enum".into(), sorted(values)),
    ]))
}

fn sorted(mut values: Vec<Value>) -> Value {
    values.sort_by_key(|value| stable(value).to_string());
    values.dedup();
    Value::Array(values)
}
