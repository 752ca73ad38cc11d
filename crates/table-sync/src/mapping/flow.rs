//! A table in one direction.

use super::{Direction, Table};
use crate::sql::{self, identifier};

/// What is read on one side, and written on the other.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// How the table is called in findings, whichever way: its name in the target.
    pub(crate) table: String,
    /// Read from, quoted.
    pub(crate) from: String,
    /// The name of a row of `from` in expressions.
    pub(crate) row: &'static str,
    /// ` AND (...)`: which rows of `from`; empty for all.
    pub(crate) and_only_read: String,
    /// Follows `from` and `row`: see [`Table::lookup`].
    pub(crate) lookup: String,
    /// Written to, quoted.
    pub(crate) to: String,
    /// ` AND (...)`: which rows of `to`, by the name `t` whichever way; empty for all.
    pub(crate) and_only_written: String,
    pub(crate) key: Vec<KeyColumn>,
    /// What is written; the key is among it.
    pub(crate) columns: Vec<Column>,
}

/// A column of the key, by its bare names.
#[derive(Clone, Debug)]
pub(crate) struct KeyColumn {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// A column that is written.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Over a row of what is read.
    pub(crate) expression: String,
}

impl Flow {
    pub(crate) fn new(table: &Table, direction: Direction) -> Self {
        let forward = direction == Direction::Forward;
        let (from, to, row, computed) = if forward {
            (&table.source, &table.target, "s", &table.forward)
        } else {
            (&table.target, &table.source, "t", &table.back)
        };
        let (and_only_read, and_only_written) = if forward {
            (table.and_only_source(), table.and_only_target())
        } else {
            let only = table.only_source.as_ref();
            let written = only.map(|only| format!(" AND (SELECT {only} FROM (SELECT t.*) AS s)"));
            (table.and_only_target(), written.unwrap_or_default())
        };
        let in_order = |(source, target): &(String, String)| {
            if forward {
                (source.clone(), target.clone())
            } else {
                (target.clone(), source.clone())
            }
        };
        let same = table.same.iter().map(in_order).map(|(from, name)| Column {
            expression: format!("{row}.{}", identifier(&from)),
            name,
        });
        let computed = computed.iter().map(|(name, expression)| Column {
            name: name.clone(),
            expression: expression.clone(),
        });
        Self {
            table: table.target.clone(),
            from: sql::table(from),
            row,
            and_only_read,
            lookup: table.lookup(direction),
            to: sql::table(to),
            and_only_written,
            key: table
                .key
                .iter()
                .map(in_order)
                .map(|(from, to)| KeyColumn { from, to })
                .collect(),
            columns: same.chain(computed).collect(),
        }
    }

    /// `expression AS "column", ...`
    pub(crate) fn select_list(&self) -> String {
        sql::list(
            self.columns
                .iter()
                .map(|column| format!("{} AS {}", column.expression, identifier(&column.name))),
        )
    }

    /// The written columns, quoted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.columns
            .iter()
            .map(|column| identifier(&column.name))
            .collect()
    }

    /// The key's columns where it is read, quoted and of the row.
    pub(crate) fn key_read(&self) -> Vec<String> {
        let of_row = |key: &KeyColumn| format!("{}.{}", self.row, identifier(&key.from));
        self.key.iter().map(of_row).collect()
    }

    /// The key's columns where it is written, quoted.
    pub(crate) fn key_written(&self) -> Vec<String> {
        self.key.iter().map(|key| identifier(&key.to)).collect()
    }
}
