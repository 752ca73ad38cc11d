//! The key of a row.

use std::fmt;

use serde_json::{Map, Value};

use crate::mapping::KeyColumn;
use crate::sql;

/// Ids of rows that are born in the target begin here, so both sides can make rows at once: 2^40.
pub(crate) const BORN_IN_TARGET: i64 = 1 << 40;

/// The values of a primary key, as PostgreSQL writes them as text.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key(Box<[String]>);

impl Key {
    /// From its values, in the order of the mapping.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        Self(values.into_iter().collect())
    }

    /// Its values, in the order of the mapping.
    pub fn values(&self) -> &[String] {
        &self.0
    }

    /// Whether the row was made in the target: ids from [`BORN_IN_TARGET`] on are given there only.
    pub(crate) fn is_born_in_target(&self) -> bool {
        let [id] = &*self.0 else { return false };
        id.parse::<i64>().is_ok_and(|id| id >= BORN_IN_TARGET)
    }

    /// As a JSON array, which is how it is stored.
    pub fn to_json(&self) -> Value {
        self.0.iter().cloned().map(Value::String).collect()
    }

    /// What [`Key::to_json`] made; `None` for anything else.
    pub fn from_json(json: &Value) -> Option<Self> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(bool) => Some(bool.to_string()),
            _ => None,
        };
        json.as_array()?
            .iter()
            .map(text)
            .collect::<Option<Box<[_]>>>()
            .map(Self)
    }
}

impl Key {
    /// `(columns) operator (this key)`, for statements that take no parameters. The columns are as SQL has them, with their types.
    pub(crate) fn compared(&self, columns: &[String], operator: &str, kinds: &[String]) -> String {
        let values = self.0.iter().zip(kinds);
        let values = values.map(|(value, kind)| format!("{}::{kind}", sql::literal(value)));
        format!("({}) {operator} ({})", sql::list(columns), sql::list(values))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// `[{"id": "7"}, ...]`, for `json_to_recordset`, with the columns' names where it is read or where it is written.
pub(crate) fn records<'a>(
    keys: impl IntoIterator<Item = &'a Key>,
    columns: &[KeyColumn],
    name: impl Fn(&KeyColumn) -> &String,
) -> String {
    let record = |key: &Key| {
        let fields = columns.iter().zip(key.values());
        let fields = fields.map(|(column, value)| (name(column).clone(), Value::String(value.clone())));
        Value::Object(fields.collect::<Map<_, _>>())
    };
    Value::Array(keys.into_iter().map(record).collect()).to_string()
}
