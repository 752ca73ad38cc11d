//! Whether a mapping fits both databases, before anything runs.
//!
//! What the catalogs say is compared first: tables, keys, columns, types. Then rows prove it: some are carried in a transaction that is
//! rolled back, with every constraint of the target as the judge, and read back through the mapping.

mod trial;

use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::catalog::{self, LiveColumn, LiveTable};
use crate::database::Link;
use crate::drift;
use crate::error::{Doing as _, Error, told};
use crate::key::BORN_IN_TARGET;
use crate::mapping::{Direction, Flow, Table};
use crate::sql;

/// Something that has to be mended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// As it is called in the target; `None` where it is about a server.
    pub table: Option<String>,
    /// The column, by its name where the problem is.
    pub column: Option<String>,
    /// What is wrong, and what would mend it.
    pub problem: String,
    /// Nothing can run with it; else it can, and somebody should know.
    pub is_fatal: bool,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Rows of each table that are carried for a trial: the first and the last.
    pub rows: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { rows: 2_000 }
    }
}

/// Looks for everything that would go wrong.
///
/// # Errors
/// The databases', where they cannot be asked.
pub async fn check(link: &Link, options: Options) -> Result<Vec<Finding>, Error> {
    let name = format!("{}check", link.origin_prefix());
    let mut source = link.source.connect(&name).await?;
    let mut target = link.target.connect(&name).await?;
    let mut findings = Vec::new();
    for (side, connection) in [(&link.source.name, &mut source), (&link.target.name, &mut target)] {
        findings.extend(server(side, connection).await?);
    }
    let mut plans = Vec::new();
    for table in &link.mapping.tables {
        let found = shapes(table, &mut source, &mut target).await?;
        let fits = found.iter().all(|finding| !finding.is_fatal);
        findings.extend(found);
        if fits && let Ok(plan) = drift::look(table, Direction::Forward, &mut source, &mut target).await? {
            plans.push((table, plan));
        }
    }
    findings.extend(trial::trial(&plans, &mut source, &mut target, options).await?);
    Ok(findings)
}

/// What a first copy of a table would do.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// As it is called in the target.
    pub table: String,
    /// As it is called in the source.
    pub source: String,
    /// The planner's estimate of the source.
    pub estimated_rows: i64,
    /// Columns that would be written.
    pub columns: usize,
    /// Columns of the source that would not be.
    pub left_out: Vec<String>,
}

/// What would be written, table by table.
///
/// # Errors
/// The source's, where it cannot be asked.
pub async fn planned(link: &Link) -> Result<Vec<Planned>, Error> {
    let name = format!("{}check", link.origin_prefix());
    let mut source = link.source.connect(&name).await?;
    let mut planned = Vec::new();
    for table in &link.mapping.tables {
        let estimated_rows: Option<i64> = sqlx::query_scalar(
            "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass($1)",
        )
        .bind(sql::table(&table.source))
        .fetch_optional(&mut source)
        .await
        .doing(|| format!("asking how large {} is", table.source))?;
        planned.push(Planned {
            table: table.target.clone(),
            source: table.source.clone(),
            estimated_rows: estimated_rows.unwrap_or_default(),
            columns: Flow::new(table, Direction::Forward).columns.len(),
            left_out: table.left_out_source.keys().cloned().collect(),
        });
    }
    Ok(planned)
}

fn fatal(table: &Table, column: Option<&str>, problem: String) -> Finding {
    Finding {
        table: Some(table.target.clone()),
        column: column.map(str::to_owned),
        problem,
        is_fatal: true,
    }
}

/// Settings and rights of a server.
async fn server(side: &str, connection: &mut PgConnection) -> Result<Vec<Finding>, Error> {
    let ask = async |connection: &mut PgConnection, sql: &'static str| {
        sqlx::query_scalar::<_, Option<String>>(sql)
            .fetch_one(connection)
            .await
            .doing(|| format!("looking at the settings of the {side} server"))
    };
    let finding = |problem: String, is_fatal| Finding {
        table: None,
        column: None,
        problem: format!("{side} server: {problem}"),
        is_fatal,
    };
    let mut findings = Vec::new();
    let level = ask(connection, "SELECT current_setting('wal_level')").await?;
    if level.as_deref() != Some("logical") {
        findings.push(finding(
            "wal_level must be logical, which takes a restart".to_owned(),
            true,
        ));
    }
    let kept = ask(connection, "SELECT current_setting('max_slot_wal_keep_size')").await?;
    if kept.as_deref() == Some("-1") {
        findings.push(finding(
            "max_slot_wal_keep_size is not set: a sync that stands still would fill the disk with log"
                .to_owned(),
            false,
        ));
    }
    let may = ask(
        connection,
        "SELECT CASE WHEN NOT (rolsuper OR rolreplication) THEN 'may not replicate: ALTER ROLE ... REPLICATION'
           WHEN NOT (rolsuper OR has_function_privilege('pg_replication_origin_create(text)', 'EXECUTE'))
           THEN 'may not use replication origins: GRANT EXECUTE on pg_replication_origin_*' END
         FROM pg_roles WHERE rolname = current_user",
    )
    .await?;
    findings.extend(may.map(|problem| finding(format!("the role {problem}"), true)));
    Ok(findings)
}

/// What the catalogs say of a table.
async fn shapes(
    table: &Table,
    source: &mut PgConnection,
    target: &mut PgConnection,
) -> Result<Vec<Finding>, Error> {
    let here = catalog::table(source, &table.source).await?;
    let there = catalog::table(target, &table.target).await?;
    let (Some(here), Some(there)) = (&here, &there) else {
        let missing = if here.is_none() {
            &table.source
        } else {
            &table.target
        };
        return Ok(vec![fatal(table, None, format!("there is no table {missing}"))]);
    };
    let mut findings = Vec::new();
    for (direction, live, name) in [
        (Direction::Forward, here, &table.source),
        (Direction::Back, there, &table.target),
    ] {
        for column in drift::unaccounted(table, direction, live) {
            let problem = format!(
                "the mapping does not know this column of {name}: carry it, or leave it out with a reason"
            );
            findings.push(fatal(table, Some(&column), problem));
        }
        for column in drift::missing(table, direction, live) {
            findings.push(fatal(table, Some(&column), format!("{name} has no such column")));
        }
        findings.extend(drift::keyless(table, direction, live).map(|problem| fatal(table, None, problem)));
    }
    findings.extend(same_kinds(table, here, there));
    for (written, live, left_out) in [
        (
            Flow::new(table, Direction::Forward),
            there,
            &table.left_out_target,
        ),
        (Flow::new(table, Direction::Back), here, &table.left_out_source),
    ] {
        for column in &live.columns {
            let carried = written.columns.iter().any(|carried| carried.name == column.name);
            if carried && column.generated {
                let problem = "it is generated, so it cannot be written: leave it out".to_owned();
                findings.push(fatal(table, Some(&column.name), problem));
            }
            if left_out.contains_key(&column.name) && column.not_null && !column.fills_itself {
                let problem =
                    "it is left out, must not be NULL, and has no default: no row could be made".to_owned();
                findings.push(fatal(table, Some(&column.name), problem));
            }
        }
    }
    findings.extend(ids(table, here, there, source, target).await?);
    findings.extend(occupied(table, source, target).await?);
    Ok(findings)
}

/// Whether the first copy would meet rows, and whether `only` can be asked of rows at all.
async fn occupied(
    table: &Table,
    source: &mut PgConnection,
    target: &mut PgConnection,
) -> Result<Option<Finding>, Error> {
    let mut has_rows = false;
    for (connection, name, row, and_only) in [
        (source, &table.source, "s", table.and_only_source()),
        (target, &table.target, "t", table.and_only_target()),
    ] {
        let statement = format!(
            "SELECT EXISTS (SELECT FROM {} {row} WHERE true{and_only})",
            sql::table(name)
        );
        has_rows = match sqlx::query_scalar(AssertSqlSafe(statement))
            .fetch_one(connection)
            .await
        {
            Ok(has_rows) => has_rows,
            Err(error @ sqlx::Error::Database(_)) if !and_only.is_empty() => {
                let problem = format!("`only` of {name} fails: {}", told(&error));
                return Ok(Some(fatal(table, None, problem)));
            }
            Err(error) => return Err(error).doing(|| format!("looking into table {name}")),
        };
    }
    let problem = "it has rows: the first copy overwrites those that differ, and deletes those that the source does not have, unless their ids say that they were made here";
    Ok(has_rows.then(|| Finding {
        is_fatal: false,
        ..fatal(table, None, problem.to_owned())
    }))
}

/// Of columns that are carried as they are.
fn same_kinds(table: &Table, here: &LiveTable, there: &LiveTable) -> Vec<Finding> {
    let pair = |(source, target): &(String, String)| {
        let (source, target) = (here.column(source)?, there.column(target)?);
        (family(source) != family(target)).then(|| {
            let problem = format!(
                "it is {} in the source and {} in the target: give an expression for both ways",
                source.kind, target.kind
            );
            fatal(table, Some(&target.name), problem)
        })
    };
    table.same.iter().filter_map(pair).collect()
}

/// Types whose texts are alike.
fn family(column: &LiveColumn) -> &str {
    let kind = column.kind.split('(').next().unwrap_or(&column.kind);
    match kind {
        "smallint" | "integer" | "bigint" | "numeric" => "number",
        "character varying" | "text" | "character" | "citext" => "text",
        "json" | "jsonb" => "json",
        _ if column.kind.starts_with("timestamp") => {
            if column.kind.ends_with("with time zone") {
                "timestamptz"
            } else {
                "timestamp"
            }
        }
        _ => &column.kind,
    }
}

/// Whether both sides can make rows at once.
async fn ids(
    table: &Table,
    here: &LiveTable,
    there: &LiveTable,
    source: &mut PgConnection,
    target: &mut PgConnection,
) -> Result<Option<Finding>, Error> {
    let [(source_key, target_key)] = table.key.as_slice() else {
        return Ok(None);
    };
    let kind = |live: &LiveTable, name: &str| live.column(name).map(|column| column.kind.clone());
    if kind(there, target_key).as_deref() != Some("bigint")
        || kind(here, source_key).as_deref() != Some("bigint")
    {
        return Ok(None);
    }
    // The next value, and where it begins.
    let next = async |connection: &mut PgConnection, name: &str, column: &str| {
        sqlx::query_as::<_, (i64, i64)>(
            "SELECT start_value, coalesce(last_value, start_value) FROM pg_sequences
             WHERE format('%I.%I', schemaname, sequencename)::regclass = pg_get_serial_sequence($1, $2)::regclass",
        )
        .bind(sql::table(name))
        .bind(column)
        .fetch_optional(connection)
        .await
        .doing(|| format!("looking at the ids of {name}"))
    };
    let legacy = next(source, &table.source, source_key).await?;
    let new = next(target, &table.target, target_key).await?;
    let problem = match (legacy, new) {
        (_, Some((start, _))) if start < BORN_IN_TARGET => format!(
            "ids of {} begin at {start}, where the source has rows: let them begin at {BORN_IN_TARGET}",
            table.target
        ),
        (Some((_, last)), Some(_)) if last >= BORN_IN_TARGET => {
            format!(
                "ids of {} have come to {last}, where the target makes rows",
                table.source
            )
        }
        _ => return Ok(None),
    };
    Ok(Some(fatal(table, Some(target_key), problem)))
}
