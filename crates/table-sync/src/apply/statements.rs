//! The SQL that carries rows of a table, made once from the mapping and the live schemas.

use crate::catalog::{LiveTable, Unique};
use crate::error::Error;
use crate::mapping::{Direction, Flow, KeyColumn, Table};
use crate::sql::{self, identifier};

/// A table of a direction, ready to be carried.
#[derive(Clone, Debug)]
pub(crate) struct TablePlan {
    pub(crate) flow: Flow,
    pub(crate) from: LiveTable,
    pub(crate) to: LiveTable,
    /// `$1` keys: their rows as a JSON array, as they are to be written.
    pub(crate) read: String,
    /// `$1` keys, `$2` rows: deletes those keys that have no row.
    pub(crate) delete_absent: String,
    /// `$1` rows: writes them, and gives how many changed.
    pub(crate) write: String,
    /// `$1` keys: deletes them, and gives them as a JSON array.
    pub(crate) take_out: String,
    /// `$1` rows, `$2` what was taken out: writes those again that were there, with the columns that are not carried.
    pub(crate) put_back: String,
    /// `$1` rows: keys of other rows that are in their way, by constraint.
    pub(crate) in_the_way: Vec<String>,
    /// `$1` keys: locks them against changes, and not against rows that come to point to them.
    pub(crate) lock: String,
    /// `$1` keys: the written rows as a JSON array of `[key, row]`.
    pub(crate) here: String,
    /// `$1` keys, `$2` rows: those keys whose row is written as it is read already, or on neither side.
    pub(crate) same: String,
}

impl TablePlan {
    pub(crate) fn new(flow: Flow, from: LiveTable, to: LiveTable) -> Result<Self, Error> {
        let kinds = |table: &LiveTable, names: &mut dyn Iterator<Item = &String>, what: &str| {
            names
                .map(|name| {
                    let column = table.column(name).ok_or_else(|| {
                        Error::Table(format!("table {} has no column {name} in {what}", flow.table))
                    })?;
                    Ok(format!("{} {}", identifier(name), column.kind))
                })
                .collect::<Result<Vec<_>, Error>>()
                .map(sql::list)
        };
        let key_from = kinds(
            &from,
            &mut flow.key.iter().map(|key| &key.from),
            "the read database",
        )?;
        let key_to = kinds(
            &to,
            &mut flow.key.iter().map(|key| &key.to),
            "the written database",
        )?;
        let mut written = flow.columns.iter().map(|column| &column.name);
        let rows = kinds(&to, &mut written, "the written database")?;
        let names = flow.names();
        let keys = KeyNames::new(&flow);
        let KeyNames {
            read_equals,
            written_equals,
            rows_equal,
            taken_equals,
            ..
        } = &keys;
        let Flow {
            from: read_table,
            to: written_table,
            row,
            and_only_read,
            and_only_written,
            lookup,
            ..
        } = &flow;
        let select = flow.select_list();
        let key_texts = sql::list(flow.key_written().iter().map(|key| format!("t.{key}::text")));
        let not_carried: Vec<String> = to
            .columns
            .iter()
            .filter(|column| {
                !column.generated && !flow.columns.iter().any(|carried| carried.name == column.name)
            })
            .map(|column| identifier(&column.name))
            .collect();
        let kept_names = sql::list(names.iter().chain(&not_carried));
        let kept = sql::list(
            names
                .iter()
                .map(|name| format!("i.{name}"))
                .chain(not_carried.iter().map(|name| format!("g.{name}"))),
        );
        Ok(Self {
            read: format!(
                "SELECT coalesce(json_agg(r), '[]')::text FROM (SELECT {select} FROM {read_table} {row}
                 JOIN json_to_recordset($1::json) AS k({key_from}) ON {read_equals}{and_only_read}{lookup}) r"
            ),
            delete_absent: format!(
                "DELETE FROM {written_table} t USING json_to_recordset($1::json) AS k({key_to})
                 WHERE {written_equals}{and_only_written}
                   AND NOT EXISTS (SELECT FROM json_to_recordset($2::json) AS i({key_to}) WHERE {rows_equal})"
            ),
            write: write(&flow, &to, &keys, &rows),
            take_out: format!(
                "WITH gone AS (DELETE FROM {written_table} t USING json_to_recordset($1::json) AS k({key_to})
                   WHERE {written_equals}{and_only_written} RETURNING t.*)
                 SELECT coalesce(json_agg(gone), '[]')::text FROM gone"
            ),
            put_back: format!(
                "INSERT INTO {written_table} ({kept_names}) OVERRIDING SYSTEM VALUE
                 SELECT {kept} FROM json_to_recordset($1::json) AS i({rows})
                 JOIN json_populate_recordset(NULL::{written_table}, $2::json) AS g ON {taken_equals}"
            ),
            in_the_way: to
                .unique
                .iter()
                .filter_map(|unique| in_the_way(&flow, unique, &rows, &key_texts))
                .collect(),
            lock: format!(
                "SELECT count(*) FROM (SELECT FROM {written_table} t
                   JOIN json_to_recordset($1::json) AS k({key_to}) ON {written_equals} FOR NO KEY UPDATE OF t) locked"
            ),
            here: format!(
                "SELECT coalesce(json_agg(json_build_array(json_build_array({key_texts}), t)), '[]')::text
                 FROM {written_table} t
                 JOIN json_to_recordset($1::json) AS k({key_to}) ON {written_equals}{and_only_written}"
            ),
            same: same(&flow, &to, &keys, &key_to, &rows),
            flow,
            from,
            to,
        })
    }
}

impl TablePlan {
    /// Of a table that the mapping does not fit at the moment: it says which it is, and carries nothing.
    pub(crate) fn stopped(table: &Table, direction: Direction) -> Self {
        Self {
            flow: Flow::new(table, direction),
            from: LiveTable::default(),
            to: LiveTable::default(),
            read: String::new(),
            delete_absent: String::new(),
            write: String::new(),
            take_out: String::new(),
            put_back: String::new(),
            in_the_way: Vec::new(),
            lock: String::new(),
            here: String::new(),
            same: String::new(),
        }
    }
}

/// Conditions on the key.
struct KeyNames {
    read_equals: String,
    written_equals: String,
    rows_equal: String,
    rows_here: String,
    taken_equals: String,
}

impl KeyNames {
    fn new(flow: &Flow) -> Self {
        let all = |left: &str, right: &str, name: fn(&KeyColumn) -> &String| {
            let equal = |key: &KeyColumn| {
                let name = identifier(name(key));
                format!("{left}.{name} = {right}.{name}")
            };
            flow.key.iter().map(equal).collect::<Vec<_>>().join(" AND ")
        };
        Self {
            read_equals: all(flow.row, "k", |key| &key.from),
            written_equals: all("t", "k", |key| &key.to),
            rows_equal: all("i", "k", |key| &key.to),
            rows_here: all("t", "i", |key| &key.to),
            taken_equals: all("i", "g", |key| &key.to),
        }
    }
}

fn same(flow: &Flow, to: &LiveTable, keys: &KeyNames, key_to: &str, rows: &str) -> String {
    let names = flow.names();
    format!(
        "SELECT jsonb_build_array({}) FROM json_to_recordset($1::json) AS k({key_to})
         LEFT JOIN json_to_recordset($2::json) AS i({rows}) ON {}
         LEFT JOIN {} t ON {}{}
         WHERE (i IS NULL) = (t IS NULL) AND ROW({}) IS NOT DISTINCT FROM ROW({})",
        sql::list(flow.key_written().iter().map(|key| format!("k.{key}::text"))),
        keys.rows_equal,
        flow.to,
        keys.written_equals,
        flow.and_only_written,
        compared(to, "i", &names),
        compared(to, "t", &names),
    )
}

/// Writes the rows, and none that is as it should be already; gives how many.
///
/// By `UPDATE` where there is one: `ON CONFLICT` locks each row that it meets, also one that stays as it is, against those that point to it.
/// On a currency, or an account of the house, that would be every charge.
fn write(flow: &Flow, to: &LiveTable, keys: &KeyNames, rows: &str) -> String {
    let key = flow.key_written();
    let names = flow.names();
    let mut others = names.clone();
    others.retain(|name| !key.contains(name));
    let incoming = sql::list(names.iter().map(|name| format!("i.{name}")));
    let (all, key) = (sql::list(&names), sql::list(&key));
    let (table, rows, here, only) = (
        &flow.to,
        format!("json_to_recordset($1::json) AS i({rows})"),
        &keys.rows_here,
        &flow.and_only_written,
    );
    let insert = |action: &str| {
        format!(
            "INSERT INTO {table} AS t ({all}) OVERRIDING SYSTEM VALUE
               SELECT {incoming} FROM {rows} WHERE NOT EXISTS (SELECT FROM {table} t WHERE {here})
               ON CONFLICT ({key}) DO {action} RETURNING 1"
        )
    };
    if others.is_empty() {
        return format!(
            "WITH inserted AS ({}) SELECT count(*) FROM inserted",
            insert("NOTHING")
        );
    }
    let set = |row: &str| sql::list(others.iter().map(|name| format!("{name} = {row}.{name}")));
    format!(
        "WITH updated AS (
           UPDATE {table} t SET {} FROM {rows} WHERE {here} AND ROW({}) IS DISTINCT FROM ROW({}){only} RETURNING 1),
         inserted AS ({})
         SELECT (SELECT count(*) FROM updated) + (SELECT count(*) FROM inserted)",
        set("i"),
        compared(to, "t", &others),
        compared(to, "i", &others),
        // Somebody may be quicker.
        insert(&format!("UPDATE SET {} WHERE true{only}", set("excluded"))),
    )
}

fn compared(table: &LiveTable, row: &str, names: &[String]) -> String {
    sql::list(names.iter().map(|name| comparable(table, row, name)))
}

/// These types have no `=`.
fn comparable(table: &LiveTable, row: &str, quoted: &str) -> String {
    let kind = table
        .columns
        .iter()
        .find(|column| identifier(&column.name) == quoted)
        .map_or("", |column| column.kind.as_str());
    match kind {
        "json" | "xml" | "point" | "polygon" => format!("{row}.{quoted}::text"),
        _ => format!("{row}.{quoted}"),
    }
}

/// `None` where the constraint is on something that is not carried. A row that the mapping is not about cannot be moved out of the way.
fn in_the_way(flow: &Flow, unique: &Unique, rows: &str, key_texts: &str) -> Option<String> {
    let carried = |name: &String| flow.columns.iter().any(|column| &column.name == name);
    if unique.columns.is_empty() || !unique.columns.iter().all(carried) {
        return None;
    }
    let operator = if unique.nulls_equal {
        "IS NOT DISTINCT FROM"
    } else {
        "="
    };
    let equal = |name: &String| {
        let name = identifier(name);
        format!("t.{name} {operator} i.{name}")
    };
    let equal = unique.columns.iter().map(equal).collect::<Vec<_>>().join(" AND ");
    let others: Vec<String> = flow
        .key_written()
        .iter()
        .map(|name| format!("t.{name} <> i.{name}"))
        .collect();
    let filter = unique
        .predicate
        .as_ref()
        .map(|predicate| format!(" WHERE {predicate}"))
        .unwrap_or_default();
    Some(format!(
        "SELECT DISTINCT jsonb_build_array({key_texts}) FROM (SELECT * FROM {}{filter}) t
         JOIN json_to_recordset($1::json) AS i({rows}) ON {equal} AND ({}){}",
        flow.to,
        others.join(" OR "),
        flow.and_only_written
    ))
}
