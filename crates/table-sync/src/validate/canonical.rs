//! Rows in a form in which equal rows are equal texts on both sides.

use crate::catalog::LiveTable;
use crate::key::Key;
use crate::mapping::{Direction, Table};
use crate::sql::{self, identifier, literal};

/// What a row's text is hashed with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hash {
    /// `hashtextextended`, which PostgreSQL does not promise to keep from version to version.
    Quick,
    /// Three times as slow.
    Md5,
}

impl Hash {
    fn of(self, text: &str) -> String {
        match self {
            Self::Quick => format!("hashtextextended({text}, 0)"),
            Self::Md5 => format!("('x' || left(md5({text}), 16))::bit(64)::bigint"),
        }
    }
}

/// How a table is compared.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    pub(super) table: String,
    pub(super) estimated_rows: u64,
    pub(super) source: Side,
    pub(super) target: Side,
    /// What differs is called so.
    pub(super) columns: Vec<String>,
}

/// One side of it.
#[derive(Clone, Debug)]
pub(super) struct Side {
    /// Quoted, with the name of a row: `"payment" t`.
    from: String,
    /// Follows it where values are read.
    lookup: String,
    /// Quoted and of the row.
    key: Vec<String>,
    kinds: Vec<String>,
    /// ` AND (...)`: which rows; empty for all.
    and_only: String,
    /// In canonical form, in the order of the columns.
    values: Vec<String>,
    hash: Hash,
}

impl Comparison {
    pub(super) fn new(table: &Table, source: &LiveTable, target: &LiveTable, hash: Hash) -> Self {
        let kind = |live: &LiveTable, name: &str| {
            live.column(name)
                .map_or_else(String::new, |column| column.kind.clone())
        };
        let (mut columns, mut here, mut there) = (Vec::new(), Vec::new(), Vec::new());
        let mut pair = |name: &String, source_value: String, target_value: String, kinds: [&str; 2]| {
            columns.push(name.clone());
            here.push(canonical(&source_value, kinds));
            there.push(canonical(&target_value, kinds));
        };
        for (source_name, target_name) in &table.same {
            let kinds = [kind(source, source_name), kind(target, target_name)];
            pair(
                target_name,
                format!("s.{}", identifier(source_name)),
                format!("t.{}", identifier(target_name)),
                [&kinds[0], &kinds[1]],
            );
        }
        for (name, expression) in &table.forward {
            let kind = kind(target, name);
            // What an expression gives may be of another type; as a number it is a number all the same.
            let other = if is_number(&kind) { "numeric" } else { "" };
            pair(
                name,
                format!("({expression})"),
                format!("t.{}", identifier(name)),
                [other, &kind],
            );
        }
        for (name, expression) in &table.back {
            let kind = kind(source, name);
            let other = if is_number(&kind) { "numeric" } else { "" };
            pair(
                name,
                format!("s.{}", identifier(name)),
                format!("({expression})"),
                [&kind, other],
            );
        }
        let side = |direction: Direction, live: &LiveTable, key: Vec<&String>, values: Vec<String>| {
            let (name, row) = match direction {
                Direction::Forward => (&table.source, "s"),
                Direction::Back => (&table.target, "t"),
            };
            Side {
                from: format!("{} {row}", sql::table(name)),
                lookup: table.lookup(direction),
                and_only: match direction {
                    Direction::Forward => table.and_only_source(),
                    Direction::Back => table.and_only_target(),
                },
                kinds: key.iter().map(|name| kind(live, name)).collect(),
                key: key
                    .iter()
                    .map(|name| format!("{row}.{}", identifier(name)))
                    .collect(),
                values,
                hash,
            }
        };
        Self {
            table: table.target.clone(),
            estimated_rows: u64::try_from(source.estimated_rows.max(target.estimated_rows))
                .unwrap_or_default(),
            source: side(
                Direction::Forward,
                source,
                table.key.iter().map(|(source, _)| source).collect(),
                here,
            ),
            target: side(
                Direction::Back,
                target,
                table.key.iter().map(|(_, target)| target).collect(),
                there,
            ),
            columns,
        }
    }
}

fn is_number(kind: &str) -> bool {
    kind.starts_with("numeric") || is_integer(kind)
}

fn is_integer(kind: &str) -> bool {
    matches!(kind, "smallint" | "integer" | "bigint")
}

/// One text for one value, whatever the two types make of it.
fn canonical(expression: &str, kinds: [&str; 2]) -> String {
    if kinds.iter().all(|kind| is_integer(kind)) {
        return expression.to_owned();
    }
    if kinds.iter().all(|kind| is_number(kind)) {
        return format!("trim_scale({expression}::numeric)");
    }
    if kinds.iter().any(|kind| matches!(*kind, "json" | "jsonb")) {
        return format!("{expression}::jsonb");
    }
    if kinds.iter().any(|kind| kind.starts_with("character(")) {
        // Without the blanks that fill it up.
        return format!("{expression}::text");
    }
    expression.to_owned()
}

/// From one key to another; `None` for no border.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Range<'a> {
    /// Greater than.
    pub(super) above: Option<&'a Key>,
    /// At least.
    pub(super) at_least: Option<&'a Key>,
    /// Less than.
    pub(super) below: Option<&'a Key>,
    /// At most.
    pub(super) up_to: Option<&'a Key>,
}

impl Side {
    fn key_texts(&self) -> String {
        format!(
            "ARRAY[{}]",
            sql::list(self.key.iter().map(|key| format!("{key}::text")))
        )
    }

    fn order(&self) -> String {
        sql::list(&self.key)
    }

    fn row_hash(&self) -> String {
        self.hash.of(&format!("ROW({})::text", sql::list(&self.values)))
    }

    fn condition(&self, range: Range<'_>) -> String {
        let borders = [
            (">", range.above),
            (">=", range.at_least),
            ("<", range.below),
            ("<=", range.up_to),
        ];
        let conditions: Vec<String> = borders
            .into_iter()
            .filter_map(|(operator, key)| Some(key?.compared(&self.key, operator, &self.kinds)))
            .collect();
        let range = if conditions.is_empty() {
            "true".to_owned()
        } else {
            conditions.join(" AND ")
        };
        range + &self.and_only
    }

    /// Of the next `range_rows` keys after `above` each `part_rows`-th, and its place.
    pub(super) fn borders(&self, above: Option<&Key>, range_rows: u32, part_rows: u32) -> String {
        let range = Range {
            above,
            ..Range::default()
        };
        format!(
            "SELECT key, place FROM (SELECT {} AS key, row_number() OVER (ORDER BY {order}) AS place
               FROM {} WHERE {} ORDER BY {order} LIMIT {range_rows}) keys
             WHERE place % {part_rows} = 0 ORDER BY place",
            self.key_texts(),
            self.from,
            self.condition(range),
            order = self.order(),
        )
    }

    /// Whether PostgreSQL can tell which part of a range a row is in: it can for a key of one column.
    pub(super) fn has_parts(&self) -> bool {
        self.key.len() == 1
    }

    /// Count and checksum of each part of a range.
    pub(super) fn checksums(&self, range: Range<'_>, borders: &[Key]) -> String {
        let part = match (self.key.as_slice(), self.kinds.as_slice()) {
            ([key], [kind]) if !borders.is_empty() => {
                let borders = borders.iter().map(|key| literal(&key.values()[0]));
                format!("width_bucket({key}, ARRAY[{}]::{kind}[])", sql::list(borders))
            }
            _ => "0".to_owned(),
        };
        format!(
            "SELECT {part} AS part, count(*) AS rows, bit_xor({}) AS checksum FROM {}{} WHERE {} GROUP BY 1",
            self.row_hash(),
            self.from,
            self.lookup,
            self.condition(range)
        )
    }

    /// Keys and hashes of the rows of a range, at most so many.
    pub(super) fn rows(&self, range: Range<'_>, limit: usize) -> String {
        format!(
            "SELECT {} AS key, {} AS hash FROM {}{} WHERE {} ORDER BY {} LIMIT {limit}",
            self.key_texts(),
            self.row_hash(),
            self.from,
            self.lookup,
            self.condition(range),
            self.order()
        )
    }

    /// Keys and values of the rows with the keys `$1`, a JSON array of arrays of texts.
    pub(super) fn values(&self) -> String {
        let equal: Vec<String> = (0..)
            .zip(self.key.iter().zip(&self.kinds))
            .map(|(place, (key, kind))| format!("{key} = (wanted.key ->> {place})::{kind}"))
            .collect();
        let values = sql::list(self.values.iter().map(|value| format!("({value})::text")));
        format!(
            "SELECT {} AS key, ARRAY[{values}]::text[] AS columns FROM json_array_elements($1::json) AS wanted (key)
             JOIN {} ON {}{}{}",
            self.key_texts(),
            self.from,
            equal.join(" AND "),
            self.and_only,
            self.lookup
        )
    }

    /// Keys of rows at random: a few of each of many pages.
    pub(super) fn at_random(&self, estimated_rows: u64, size: u32) -> String {
        // Pages hold dozens of rows, and neighbours are alike: take ten times as many, and one of ten.
        let all = estimated_rows.max(1);
        let wanted = u64::from(size) * 12;
        if wanted >= all {
            return format!(
                "SELECT {} AS key FROM {} WHERE true{} ORDER BY random() LIMIT {size}",
                self.key_texts(),
                self.from,
                self.and_only,
            );
        }
        let millionths = wanted * 100_000_000 / all;
        format!(
            "SELECT {} AS key FROM {} TABLESAMPLE SYSTEM ({millionths} / 1000000.0) WHERE random() < 0.1{} LIMIT {size}",
            self.key_texts(),
            self.from,
            self.and_only,
        )
    }
}
