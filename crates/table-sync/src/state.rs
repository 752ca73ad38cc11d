//! The bookkeeping: what a direction knows of itself, in the schema `table_sync` of the database that it writes.

use pgwire_replication::Lsn;
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;

use crate::database::Link;
use crate::error::{Doing as _, Error};
use crate::key::Key;
use crate::mapping::Direction;

/// Any number, the same everywhere: one session at a time makes the tables.
const LOCK: i64 = 1_650_552_443;

/// Makes the tables where they are missing.
///
/// # Errors
/// The database's.
pub async fn prepare(connection: &mut PgConnection) -> Result<(), Error> {
    let doing = || "making the tables of the sync".to_owned();
    if is_prepared(connection).await? {
        return Ok(());
    }
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut *connection)
        .await
        .doing(doing)?;
    let made = sqlx::raw_sql(include_str!("state.sql"))
        .execute(&mut *connection)
        .await;
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(LOCK)
        .execute(&mut *connection)
        .await
        .doing(doing)?;
    made.doing(doing)?;
    Ok(())
}

pub(crate) async fn is_prepared(connection: &mut PgConnection) -> Result<bool, Error> {
    sqlx::query_scalar("SELECT to_regclass('table_sync.conflict_open') IS NOT NULL")
        .fetch_one(connection)
        .await
        .doing(|| "looking for the tables of the sync".to_owned())
}

/// Why a row is not carried.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// Its table is stopped.
    Stopped,
    /// The database does not take it.
    Refused,
    /// Both sides wrote it.
    Conflict,
}

impl Reason {
    /// As it is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Refused => "refused",
            Self::Conflict => "conflict",
        }
    }
}

/// A row that both sides wrote before either knew of the other's change. Nobody has decided on it yet.
#[derive(Clone, Debug, Serialize)]
pub struct Conflict {
    /// `forward` or `back`: the direction that found it first.
    pub direction: &'static str,
    /// As it is called in the target.
    pub table: String,
    /// Its primary key, as text.
    pub key: Vec<String>,
    /// The legacy side's version, as it would be on the other side; NULL: it is deleted.
    pub legacy: Option<Value>,
    /// The new side's, likewise.
    pub new: Option<Value>,
    /// When it was found.
    #[serde(with = "time::serde::rfc3339")]
    pub found_at: OffsetDateTime,
}

/// All open conflicts; a row of which both directions know is there once.
///
/// # Errors
/// The databases'.
pub async fn conflicts(link: &Link) -> Result<Vec<Conflict>, Error> {
    let mut found: Vec<Conflict> = Vec::new();
    for direction in [Direction::Forward, Direction::Back] {
        let stream = link.stream(direction);
        let mut to = link.to(direction).connect(&stream).await?;
        if !is_prepared(&mut to).await? {
            continue;
        }
        let rows = sqlx::query(
            "SELECT name, key, there, here, found_at FROM table_sync.conflict
             WHERE stream = $1 AND resolved_at IS NULL ORDER BY id",
        )
        .bind(&stream)
        .fetch_all(&mut to)
        .await
        .doing(|| format!("reading the conflicts of {stream}"))?;
        for row in rows {
            let Some(key) = Key::from_json(&row.get("key")) else {
                continue;
            };
            let (there, here) = (row.get("there"), row.get("here"));
            let (legacy, new) = match direction {
                Direction::Forward => (there, here),
                Direction::Back => (here, there),
            };
            let table: String = row.get("name");
            let known = found
                .iter()
                .any(|known| known.table == table && known.key == key.values());
            if !known {
                found.push(Conflict {
                    direction: direction.name(),
                    table,
                    key: key.values().to_vec(),
                    legacy,
                    new,
                    found_at: row.get("found_at"),
                });
            }
        }
    }
    Ok(found)
}

/// Where a stream stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Position {
    pub(crate) system: String,
    pub(crate) applied: Lsn,
    pub(crate) applied_at: OffsetDateTime,
}

/// `None` before it was started.
pub(crate) async fn position(connection: &mut PgConnection, stream: &str) -> Result<Option<Position>, Error> {
    let row = sqlx::query(
        "SELECT system, (applied - '0/0')::text AS applied, applied_at FROM table_sync.stream WHERE name = $1",
    )
    .bind(stream)
    .fetch_optional(connection)
    .await
    .doing(|| format!("reading the position of {stream}"))?;
    Ok(row.map(|row| Position {
        system: row.get("system"),
        applied: lsn(&row.get::<String, _>("applied")),
        applied_at: row.get("applied_at"),
    }))
}

/// A position as the number of bytes that PostgreSQL gives for it.
pub(crate) fn lsn(bytes: &str) -> Lsn {
    Lsn::from_u64(bytes.parse().unwrap_or_default())
}

pub(crate) async fn advance(
    connection: &mut PgConnection,
    stream: &str,
    applied: Lsn,
    applied_at: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE table_sync.stream SET applied = $2::pg_lsn, applied_at = $3, updated_at = clock_timestamp()
         WHERE name = $1",
    )
    .bind(stream)
    .bind(applied.to_string())
    .bind(applied_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// A table of a stream.
#[derive(Clone, Debug)]
pub(crate) struct TableState {
    pub(crate) name: String,
    /// Of the read table, as [`LiveTable::as_json`](crate::catalog::LiveTable::as_json) gives them.
    pub(crate) columns: Value,
    pub(crate) stopped: Option<String>,
}

pub(crate) async fn tables(connection: &mut PgConnection, stream: &str) -> Result<Vec<TableState>, Error> {
    let rows = sqlx::query("SELECT name, columns, stopped FROM table_sync.stream_table WHERE stream = $1")
        .bind(stream)
        .fetch_all(connection)
        .await
        .doing(|| format!("reading the tables of {stream}"))?;
    let table = |row: &sqlx::postgres::PgRow| TableState {
        name: row.get("name"),
        columns: row.get("columns"),
        stopped: row.get("stopped"),
    };
    Ok(rows.iter().map(table).collect())
}

/// Stops a table, or lets it run again with its present columns.
pub(crate) async fn set_stopped(
    connection: &mut PgConnection,
    stream: &str,
    table: &str,
    stopped: Option<&str>,
    columns: Option<&Value>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE table_sync.stream_table SET stopped = $3, columns = coalesce($4, columns)
         WHERE stream = $1 AND name = $2",
    )
    .bind(stream)
    .bind(table)
    .bind(stopped)
    .bind(columns)
    .execute(connection)
    .await?;
    Ok(())
}

/// Holds rows back.
pub(crate) async fn hold(
    connection: &mut PgConnection,
    stream: &str,
    table: &str,
    keys: &[Key],
    reason: Reason,
    problem: &str,
) -> Result<(), sqlx::Error> {
    let keys: Vec<Value> = keys.iter().map(Key::to_json).collect();
    sqlx::query(
        "INSERT INTO table_sync.held (stream, name, key, reason, problem)
         SELECT $1, $2, key, $4, $5 FROM unnest($3::jsonb[]) AS key
         ON CONFLICT (stream, name, key) DO UPDATE SET tried_at = clock_timestamp(),
           reason = excluded.reason, problem = excluded.problem",
    )
    .bind(stream)
    .bind(table)
    .bind(keys)
    .bind(reason.name())
    .bind(problem)
    .execute(connection)
    .await?;
    Ok(())
}

/// Rows of a table, but those of conflicts, that were tried before a moment, the longest ago first.
pub(crate) async fn held(
    connection: &mut PgConnection,
    stream: &str,
    table: &str,
    before: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Key>, sqlx::Error> {
    let keys: Vec<Value> = sqlx::query_scalar(
        "SELECT key FROM table_sync.held
         WHERE stream = $1 AND name = $2 AND reason <> 'conflict' AND tried_at < $3 ORDER BY tried_at LIMIT $4",
    )
    .bind(stream)
    .bind(table)
    .bind(before)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    Ok(keys.iter().filter_map(Key::from_json).collect())
}

/// All rows that are not taken, or that both sides wrote.
pub(crate) async fn held_rows(
    connection: &mut PgConnection,
    stream: &str,
) -> Result<Vec<(String, Key, Reason)>, Error> {
    let rows = sqlx::query(
        "SELECT name, key, reason FROM table_sync.held WHERE stream = $1 AND reason <> 'stopped'",
    )
    .bind(stream)
    .fetch_all(connection)
    .await
    .doing(|| format!("reading what {stream} holds back"))?;
    let row = |row: &sqlx::postgres::PgRow| {
        let reason = match row.get::<String, _>("reason").as_str() {
            "conflict" => Reason::Conflict,
            _ => Reason::Refused,
        };
        Some((row.get("name"), Key::from_json(&row.get("key"))?, reason))
    };
    Ok(rows.iter().filter_map(row).collect())
}

/// These are held back no more, and what both sides wrote of them is decided: each side has what this side has from now on.
pub(crate) async fn release(
    connection: &mut PgConnection,
    stream: &str,
    table: &str,
    keys: &[Key],
) -> Result<(), sqlx::Error> {
    let keys: Vec<Value> = keys.iter().map(Key::to_json).collect();
    sqlx::query(
        "WITH decided AS (UPDATE table_sync.conflict SET resolved_at = clock_timestamp()
           WHERE stream = $1 AND name = $2 AND key = ANY ($3) AND resolved_at IS NULL)
         DELETE FROM table_sync.held WHERE stream = $1 AND name = $2 AND key = ANY ($3)",
    )
    .bind(stream)
    .bind(table)
    .bind(keys)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the table had rows before it was copied.
pub(crate) async fn merges(
    connection: &mut PgConnection,
    stream: &str,
    table: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT merge FROM table_sync.stream_table WHERE stream = $1 AND name = $2")
        .bind(stream)
        .bind(table)
        .fetch_one(connection)
        .await
}
