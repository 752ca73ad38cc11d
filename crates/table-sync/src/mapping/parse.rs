//! The TOML form of a mapping.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Mapping, Table};
use crate::sql::{identifier, literal};

/// Why a mapping cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// Not TOML, or a key that there is not.
    #[error("the mapping cannot be read: {0}")]
    Toml(#[from] toml::de::Error),
    /// It contradicts itself.
    #[error("table {table}: {problem}")]
    Table {
        /// As it is called in the target.
        table: String,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    domain: String,
    minor_units: Option<MinorUnits>,
    #[serde(default)]
    table: Vec<Entry>,
}

/// Where the number of digits after the point is to be had.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct MinorUnits {
    source_exponent: String,
    target_exponent: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    source: String,
    target: String,
    key: Vec<String>,
    #[serde(default)]
    same: Vec<String>,
    #[serde(default)]
    renamed: BTreeMap<String, String>,
    #[serde(default)]
    blank_is_null: Vec<String>,
    #[serde(default)]
    minor_units: BTreeMap<String, String>,
    exponent: Option<MinorUnits>,
    #[serde(default)]
    values: Vec<Values>,
    #[serde(default)]
    forward: BTreeMap<String, String>,
    #[serde(default)]
    back: BTreeMap<String, String>,
    #[serde(default)]
    only: Only,
    #[serde(default)]
    left_out: LeftOut,
}

/// An enumeration with other words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Values {
    source: String,
    target: String,
    #[serde(rename = "values")]
    pairs: BTreeMap<String, String>,
}

/// Which rows.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Only {
    source: Option<String>,
    target: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeftOut {
    #[serde(default)]
    source: BTreeMap<String, String>,
    #[serde(default)]
    target: BTreeMap<String, String>,
}

pub(super) fn parse(text: &str) -> Result<Mapping, MappingError> {
    let file: File = toml::from_str(text)?;
    let mut names = (BTreeSet::new(), BTreeSet::new());
    let mut tables = Vec::with_capacity(file.table.len());
    for entry in file.table {
        let name = entry.target.clone();
        let table = entry
            .table(file.minor_units.as_ref())
            .and_then(|table| {
                let is_new = names.0.insert(table.source.clone()) && names.1.insert(table.target.clone());
                is_new.then_some(table).ok_or("it is there twice".to_owned())
            })
            .map_err(|problem| MappingError::Table { table: name, problem })?;
        tables.push(table);
    }
    Ok(Mapping {
        domain: file.domain,
        tables,
    })
}

impl Entry {
    fn table(self, minor_units: Option<&MinorUnits>) -> Result<Table, String> {
        let same = self.same.iter().map(|column| (column.clone(), column.clone()));
        let same: Vec<(String, String)> = same.chain(self.renamed.clone()).collect();
        let key = self.key(&same)?;
        let (mut forward, mut back) = (self.forward, self.back);
        let mut computed = vec![];
        for column in self.blank_is_null {
            let quoted = identifier(&column);
            let to = format!("nullif(s.{quoted}, '')");
            let from = format!("coalesce(t.{quoted}, '')");
            computed.push((column.clone(), column, to, from));
        }
        let exponent = if self.minor_units.is_empty() {
            None
        } else {
            let exponents = self.exponent.as_ref().or(minor_units);
            let exponents = exponents.ok_or("`minor_units` needs to know the exponents")?;
            Some((
                exponents.source_exponent.clone(),
                exponents.target_exponent.clone(),
            ))
        };
        for (source, target) in self.minor_units {
            let (to, from) = minor_units_expressions(&source, &target);
            computed.push((source, target, to, from));
        }
        for values in self.values {
            let (to, from) = values.expressions()?;
            computed.push((values.source, values.target, to, from));
        }
        for (source, target, to, from) in computed {
            if let Some(column) = [(&mut forward, target, to), (&mut back, source, from)]
                .into_iter()
                .find_map(|(columns, name, expression)| {
                    columns.insert(name.clone(), expression).map(|_| name)
                })
            {
                return Err(format!("column {column} is there twice"));
            }
        }
        let (mut sources, mut targets) = (BTreeSet::new(), BTreeSet::new());
        for (source, target) in &same {
            named_once(&mut sources, source, "source")?;
            named_once(&mut targets, target, "target")?;
        }
        for source in back.keys().chain(self.left_out.source.keys()) {
            named_once(&mut sources, source, "source")?;
        }
        for target in forward.keys().chain(self.left_out.target.keys()) {
            named_once(&mut targets, target, "target")?;
        }
        for (column, reason) in self.left_out.source.iter().chain(&self.left_out.target) {
            if reason.trim().is_empty() {
                return Err(format!("column {column} is left out without a reason"));
            }
        }
        let conditions = [&self.only.source, &self.only.target];
        if conditions
            .into_iter()
            .flatten()
            .any(|only| only.trim().is_empty())
        {
            return Err("`only` names no rows: leave it away where it is about all".to_owned());
        }
        Ok(Table {
            source: self.source,
            target: self.target,
            key,
            same,
            exponent,
            forward,
            back,
            only_source: self.only.source,
            only_target: self.only.target,
            left_out_source: self.left_out.source,
            left_out_target: self.left_out.target,
        })
    }

    fn key(&self, same: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
        if self.key.is_empty() {
            return Err("it has no key".to_owned());
        }
        let pair = |column: &String| {
            let pair = same.iter().find(|(source, _)| source == column);
            pair.cloned()
                .ok_or_else(|| format!("column {column} of the key is not carried as it is"))
        };
        self.key.iter().map(pair).collect()
    }
}

/// Powers of ten by their exponents: far quicker than `power(10, n)`, and as exact.
const TENS: &str = "(ARRAY[1, 10, 100, 1000, 10000])";

fn minor_units_expressions(source: &str, target: &str) -> (String, String) {
    let (source, target) = (identifier(source), identifier(target));
    (
        format!("trim_scale(s.{source} * {TENS}[1 + minor_units.exponent])"),
        // Division would give as many digits as PostgreSQL likes; this many are exact.
        format!("trim_scale(t.{target} * ({TENS}[5 - minor_units.exponent] * 0.0001))"),
    )
}

impl Values {
    fn expressions(&self) -> Result<(String, String), String> {
        let others: BTreeSet<&String> = self.pairs.values().collect();
        if others.len() < self.pairs.len() {
            let column = &self.source;
            return Err(format!(
                "two values of column {column} become the same one, so there is no way back"
            ));
        }
        let case = |row: &str, column: &str, pairs: &mut dyn Iterator<Item = (&String, &String)>| {
            // As text: an enumeration type would take the other side's words for values of its own.
            let column = format!("{row}.{}::text", identifier(column));
            let whens = pairs.map(|(from, to)| format!("WHEN {} THEN {}", literal(from), literal(to)));
            let whens = whens.collect::<Vec<_>>().join(" ");
            // What has no translation goes as it is: a constraint of the other side refuses it, and nothing is lost.
            format!("CASE {column} {whens} ELSE {column} END")
        };
        let forward = case("s", &self.source, &mut self.pairs.iter());
        let back = case(
            "t",
            &self.target,
            &mut self.pairs.iter().map(|(from, to)| (to, from)),
        );
        Ok((forward, back))
    }
}

fn named_once<'a>(names: &mut BTreeSet<&'a String>, name: &'a String, side: &str) -> Result<(), String> {
    if names.insert(name) {
        Ok(())
    } else {
        Err(format!("column {name} of the {side} is there twice"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mapping;

    const PAYMENT: &str = r#"
        domain = "payments"
        [minor_units]
        source_exponent = "2"
        target_exponent = "3"
        [[table]]
        source = "shop_payment"
        target = "payment"
        key = ["id"]
        same = ["id", "user_id"]
        renamed = { decimals = "exponent" }
        blank_is_null = ["code"]
        minor_units = { amount = "amount_minor" }
        values = [{ source = "state", target = "status", values = { done = "completed" } }]
        [table.forward]
        is_open = "s.closed_at IS NULL"
        [table.back]
        closed_at = "CASE WHEN t.is_open THEN NULL ELSE now() END"
        [table.only]
        target = "t.status <> 'draft'"
        [table.left_out.source]
        note = "Nobody reads it."
        [table.left_out.target]
        mark = "The service's own."
    "#;

    #[test]
    fn a_mapping_is_read() {
        let mapping = Mapping::parse(PAYMENT).expect("a mapping");
        assert_eq!(mapping.domain, "payments");
        let table = mapping.table("payment").expect("a table");
        assert_eq!(table.key, [("id".to_owned(), "id".to_owned())]);
        assert!(
            table
                .same
                .contains(&("decimals".to_owned(), "exponent".to_owned()))
        );
        assert_eq!(
            (table.only_source.as_deref(), table.only_target.as_deref()),
            (None, Some("t.status <> 'draft'"))
        );
        assert_eq!(table.forward["code"], "nullif(s.\"code\", '')");
        assert_eq!(table.back["code"], "coalesce(t.\"code\", '')");
        assert_eq!(
            table.forward["status"],
            "CASE s.\"state\"::text WHEN 'done' THEN 'completed' ELSE s.\"state\"::text END"
        );
        assert_eq!(
            table.back["state"],
            "CASE t.\"status\"::text WHEN 'completed' THEN 'done' ELSE t.\"status\"::text END"
        );
        assert_eq!(
            table.forward["amount_minor"],
            "trim_scale(s.\"amount\" * (ARRAY[1, 10, 100, 1000, 10000])[1 + minor_units.exponent])"
        );
    }

    #[test]
    fn a_contradiction_names_table_and_column() {
        let refused = |from: &str, to: &str| {
            let changed = PAYMENT.replace(from, to);
            assert_ne!(changed, PAYMENT);
            Mapping::parse(&changed).expect_err("refused").to_string()
        };
        for (from, to, problem) in [
            (r#"key = ["id"]"#, "key = []", "table payment: it has no key"),
            (
                r#"key = ["id"]"#,
                r#"key = ["code"]"#,
                "table payment: column code of the key is not carried as it is",
            ),
            (
                r#""user_id"]"#,
                r#""user_id", "user_id"]"#,
                "table payment: column user_id of the source is there twice",
            ),
            (
                "is_open =",
                "amount_minor =",
                "table payment: column amount_minor is there twice",
            ),
            (
                "note =",
                "user_id =",
                "table payment: column user_id of the source is there twice",
            ),
            (
                r#""t.status <> 'draft'""#,
                r#""""#,
                "table payment: `only` names no rows: leave it away where it is about all",
            ),
            (
                r#""Nobody reads it.""#,
                r#"" ""#,
                "table payment: column note is left out without a reason",
            ),
            (
                r#"{ done = "completed" }"#,
                r#"{ done = "completed", over = "completed" }"#,
                "table payment: two values of column state become the same one, so there is no way back",
            ),
        ] {
            assert_eq!(refused(from, to), problem);
        }
        assert!(refused("same =", "sane =").contains("unknown field `sane`"));
    }
}
