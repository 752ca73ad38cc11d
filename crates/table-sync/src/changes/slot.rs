//! The replication slot and the publication of a stream: made, found again, missed, removed.

use pgwire_replication::Lsn;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use time::OffsetDateTime;

use crate::apply::TablePlan;
use crate::database::Link;
use crate::error::{Doing as _, Error};
use crate::mapping::Direction;
use crate::sql::{self, identifier};
use crate::{drift, snapshot, state};

/// Where the stream goes on; a new one begins now.
pub(super) async fn start(
    link: &Link,
    direction: Direction,
    from: &mut PgConnection,
    to: &mut PgConnection,
) -> Result<Lsn, Error> {
    let stream = link.stream(direction);
    publish(link, direction, from).await?;
    let system = system(from).await?;
    if let Some(position) = state::position(to, &stream).await? {
        if let Some(problem) = problem(from, &stream, &system, &position).await? {
            return Err(Error::SlotLost {
                slot: stream,
                problem,
                applied: position.applied.to_string(),
            });
        }
        return Ok(position.applied);
    }
    if direction == Direction::Forward {
        may_overwrite(link, direction, from).await?;
    }
    let doing = || format!("making slot {stream}");
    // One that is there without a position is of a process that died here.
    drop_slot(from, &stream).await.doing(doing)?;
    let begins: String = sqlx::query_scalar(
        "SELECT (lsn - '0/0')::text FROM pg_create_logical_replication_slot($1, 'pgoutput')",
    )
    .bind(&stream)
    .fetch_one(&mut *from)
    .await
    .doing(doing)?;
    let begins = state::lsn(&begins);
    sqlx::query(
        "INSERT INTO table_sync.stream (name, system, applied, applied_at) VALUES ($1, $2, $3::pg_lsn, $4)",
    )
    .bind(&stream)
    .bind(&system)
    .bind(begins.to_string())
    .bind(OffsetDateTime::now_utc())
    .execute(to)
    .await
    .doing(doing)?;
    tracing::info!(stream, position = %begins, "a slot was made");
    Ok(begins)
}

/// Plans for all tables, and which of them are stopped; those that are new get their chunks.
pub(super) async fn tables(
    link: &Link,
    direction: Direction,
    limits: snapshot::Limits,
    from: &mut PgConnection,
    to: &mut PgConnection,
) -> Result<(Vec<TablePlan>, Vec<usize>), Error> {
    let stream = link.stream(direction);
    let known = state::tables(to, &stream).await?;
    let (mut plans, mut stopped) = (Vec::new(), Vec::new());
    for (place, table) in link.mapping.tables.iter().enumerate() {
        let state = known.iter().find(|state| state.name == table.target);
        match (drift::look(table, direction, from, to).await?, state) {
            (Ok(plan), Some(_)) => plans.push(plan),
            (Ok(plan), None) => {
                snapshot::plan(from, to, &stream, &plan, limits, direction == Direction::Forward).await?;
                plans.push(plan);
            }
            (Err(problem), None) => return Err(Error::Table(problem)),
            (Err(problem), Some(_)) => {
                tracing::error!(stream, table = table.target, problem, "a table is stopped");
                state::set_stopped(to, &stream, &table.target, Some(&problem), None)
                    .await
                    .doing(|| format!("stopping table {}", table.target))?;
                stopped.push(place);
                plans.push(TablePlan::stopped(table, direction));
            }
        }
    }
    Ok((plans, stopped))
}

async fn publish(link: &Link, direction: Direction, from: &mut PgConnection) -> Result<(), Error> {
    let stream = link.stream(direction);
    let doing = || format!("publishing the changes of {stream}");
    let mut names = Vec::new();
    for table in &link.mapping.tables {
        let name = match direction {
            Direction::Forward => &table.source,
            Direction::Back => &table.target,
        };
        let is_there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(sql::table(name))
            .fetch_one(&mut *from)
            .await
            .doing(doing)?;
        // One that was dropped is looked into with the others, table by table.
        if is_there {
            names.push(sql::table(name));
        }
    }
    let published: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1)")
        .bind(&stream)
        .fetch_one(&mut *from)
        .await
        .doing(doing)?;
    let (name, tables) = (identifier(&stream), sql::list(&names));
    let statement = if published {
        format!("ALTER PUBLICATION {name} SET TABLE {tables}")
    } else {
        format!("CREATE PUBLICATION {name} FOR TABLE {tables}")
    };
    sqlx::query(AssertSqlSafe(statement))
        .execute(from)
        .await
        .doing(doing)?;
    Ok(())
}

/// Which server this is, and which of its databases.
async fn system(from: &mut PgConnection) -> Result<String, Error> {
    sqlx::query_scalar("SELECT system_identifier::text || '/' || current_database() FROM pg_control_system()")
        .fetch_one(from)
        .await
        .doing(|| "asking the server who it is".to_owned())
}

/// Why the stream cannot go on from there.
async fn problem(
    from: &mut PgConnection,
    stream: &str,
    system: &str,
    position: &state::Position,
) -> Result<Option<String>, Error> {
    if position.system != system {
        return Ok(Some(format!(
            "it was on server {}, and this is {system}",
            position.system
        )));
    }
    let slot = sqlx::query(
        "SELECT wal_status, (confirmed_flush_lsn - '0/0')::text AS confirmed FROM pg_replication_slots
         WHERE slot_name = $1 AND database = current_database()",
    )
    .bind(stream)
    .fetch_optional(from)
    .await
    .doing(|| format!("looking at slot {stream}"))?;
    let Some(slot) = slot else {
        return Ok(Some("it is not there any more".to_owned()));
    };
    if slot.get::<Option<String>, _>("wal_status").as_deref() == Some("lost") {
        return Ok(Some("the server has removed the log that it needs".to_owned()));
    }
    let confirmed = slot
        .get::<Option<String>, _>("confirmed")
        .map(|confirmed| state::lsn(&confirmed));
    Ok(confirmed
        .filter(|confirmed| *confirmed > position.applied)
        .map(|confirmed| format!("it goes on at {confirmed} only")))
}

async fn drop_slot(from: &mut PgConnection, stream: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1")
        .bind(stream)
        .execute(from)
        .await?;
    Ok(())
}

/// Forgets the stream, so that its tables are copied again: rows of the written side are overwritten where they differ, and deleted where
/// the read side has none.
///
/// # Errors
/// The database's. [`Error::Refused`] where the other direction has a stream: rows that it has not carried yet would be lost. The stream must
/// not be running ([`Error::Busy`]).
pub async fn resync(link: &Link, direction: Direction) -> Result<(), Error> {
    let mut from = link.from(direction).connect(&link.stream(direction)).await?;
    may_overwrite(link, direction, &mut from).await?;
    forget(link, direction).await
}

/// A copy makes the written side what the read side is, so nobody else may have written there.
async fn may_overwrite(link: &Link, direction: Direction, from: &mut PgConnection) -> Result<(), Error> {
    let other = link.stream(direction.opposite());
    if state::is_prepared(from).await? && state::position(from, &other).await?.is_some() {
        return Err(Error::Refused(format!(
            "{other} is there, and what it has not carried yet would be overwritten: validate instead, and repair row by row"
        )));
    }
    Ok(())
}

async fn forget(link: &Link, direction: Direction) -> Result<(), Error> {
    let stream = link.stream(direction);
    let doing = || format!("forgetting {stream}");
    let mut from = link.from(direction).connect(&stream).await?;
    let mut to = link.to(direction).connect(&stream).await?;
    only_when_idle(&mut to, &stream).await?;
    drop_slot(&mut from, &stream).await.doing(doing)?;
    sqlx::query("DELETE FROM table_sync.stream WHERE name = $1")
        .bind(&stream)
        .execute(&mut to)
        .await
        .doing(doing)?;
    Ok(())
}

/// Removes the stream: its slot, its publication, its origins and what it knows. The rows stay.
///
/// # Errors
/// The database's; the stream must not be running.
pub async fn remove(link: &Link, direction: Direction) -> Result<(), Error> {
    forget(link, direction).await?;
    let stream = link.stream(direction);
    let doing = || format!("removing {stream}");
    let mut from = link.from(direction).connect(&stream).await?;
    let mut to = link.to(direction).connect(&stream).await?;
    let publication = format!("DROP PUBLICATION IF EXISTS {}", identifier(&stream));
    sqlx::query(AssertSqlSafe(publication))
        .execute(&mut from)
        .await
        .doing(doing)?;
    sqlx::query(
        "SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin WHERE starts_with(roname, $1)",
    )
    .bind(format!("{}{}_", link.origin_prefix(), direction.name()))
    .execute(&mut to)
    .await
    .doing(doing)?;
    Ok(())
}

async fn only_when_idle(to: &mut PgConnection, stream: &str) -> Result<(), Error> {
    state::prepare(to).await?;
    super::only_one(to, stream).await
}
