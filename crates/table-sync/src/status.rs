//! How far a sync is, as anybody may ask: by SQL, whether a process runs it or not.

use serde::Serialize;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;

use crate::database::Link;
use crate::error::{Doing as _, Error};
use crate::mapping::Direction;
use crate::state;

/// A direction that was started.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// `forward` or `back`.
    pub direction: &'static str,
    /// Of the slot and the publication.
    pub stream: String,
    /// A process follows it, or copies for it.
    pub is_running: bool,
    /// The first copy.
    pub copy: Copied,
    /// The position in the read side's log up to which all is here.
    pub applied: String,
    /// When what was applied last was committed on the read side.
    #[serde(with = "time::serde::rfc3339")]
    pub applied_at: OffsetDateTime,
    /// Log written on the read side's server since then, in bytes, whatever it is about.
    pub behind_bytes: i64,
    /// Log that the server keeps for the slot, in bytes; NULL where there is no slot.
    pub retained_bytes: Option<i64>,
    /// `reserved`, `extended`, `unreserved`, `lost`; `missing` where there is no slot.
    /// <https://www.postgresql.org/docs/current/view-pg-replication-slots.html>
    pub slot: String,
    /// How much more log may be written before the slot is lost, in bytes; NULL without a limit (`max_slot_wal_keep_size`).
    pub safe_bytes: Option<i64>,
    /// Tables whose rows are held back, and why.
    pub stopped: Vec<Stopped>,
    /// Rows that the written side did not take, or whose table is stopped.
    pub held: i64,
    /// Rows that both sides wrote, and nobody has decided on.
    pub conflicts: i64,
}

/// How far the first copy is.
#[derive(Clone, Debug, Serialize)]
pub struct Copied {
    /// Nothing is left to copy.
    pub is_done: bool,
    /// Pieces that are copied.
    pub chunks_done: i64,
    /// All pieces.
    pub chunks: i64,
    /// Rows that are copied.
    pub rows: i64,
    /// The planner's estimate of all, when the copy began.
    pub estimated_rows: i64,
    /// Over the last minute of copying.
    pub rows_per_second: Option<i64>,
    /// By that rate, until the copy is done.
    pub seconds_left: Option<i64>,
}

/// A table that is stopped.
#[derive(Clone, Debug, Serialize)]
pub struct Stopped {
    /// As it is called in the target.
    pub table: String,
    /// Why.
    pub problem: String,
}

/// Both directions, those that were started.
///
/// # Errors
/// The databases'.
pub async fn status(link: &Link) -> Result<Vec<Status>, Error> {
    let mut found = Vec::new();
    for direction in [Direction::Forward, Direction::Back] {
        let name = format!("{}status", link.origin_prefix());
        let mut to = link.to(direction).connect(&name).await?;
        if !state::is_prepared(&mut to).await? {
            continue;
        }
        let stream = link.stream(direction);
        let Some(position) = state::position(&mut to, &stream).await? else {
            continue;
        };
        let mut from = link.from(direction).connect(&name).await?;
        let tables = link.mapping.tables.len();
        found.push(of(direction, stream, tables, &position, &mut from, &mut to).await?);
    }
    Ok(found)
}

async fn of(
    direction: Direction,
    stream: String,
    tables: usize,
    position: &state::Position,
    from: &mut PgConnection,
    to: &mut PgConnection,
) -> Result<Status, Error> {
    let doing = || format!("looking at {stream}");
    let log = sqlx::query(
        "SELECT (pg_current_wal_lsn() - $2::pg_lsn)::bigint AS behind, slot.wal_status, slot.safe_wal_size,
           (pg_current_wal_lsn() - slot.restart_lsn)::bigint AS retained
         FROM (VALUES ($1)) AS wanted (name) LEFT JOIN pg_replication_slots slot ON slot.slot_name = wanted.name",
    )
    .bind(&stream)
    .bind(position.applied.to_string())
    .fetch_one(from)
    .await
    .doing(doing)?;
    let here = sqlx::query(
        "SELECT
           EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND (classid::bigint << 32 | objid::bigint) = hashtextextended($1, 0)) AS is_running,
           (SELECT count(*) FROM table_sync.held WHERE stream = $1 AND reason <> 'conflict') AS held,
           (SELECT count(*) FROM table_sync.conflict WHERE stream = $1 AND resolved_at IS NULL) AS conflicts",
    )
    .bind(&stream)
    .fetch_one(&mut *to)
    .await
    .doing(doing)?;
    let stopped = state::tables(to, &stream).await?.into_iter();
    let stopped = stopped.filter_map(|table| {
        Some(Stopped {
            table: table.name,
            problem: table.stopped?,
        })
    });
    Ok(Status {
        direction: direction.name(),
        is_running: here.get("is_running"),
        copy: copied(to, &stream, tables).await.doing(doing)?,
        applied: position.applied.to_string(),
        applied_at: position.applied_at,
        behind_bytes: log.get::<i64, _>("behind").max(0),
        retained_bytes: log.get("retained"),
        slot: log
            .get::<Option<String>, _>("wal_status")
            .unwrap_or_else(|| "missing".to_owned()),
        safe_bytes: log.get("safe_wal_size"),
        stopped: stopped.collect(),
        held: here.get("held"),
        conflicts: here.get("conflicts"),
        stream,
    })
}

async fn copied(to: &mut PgConnection, stream: &str, tables: usize) -> Result<Copied, sqlx::Error> {
    let row = sqlx::query(
        "WITH chunk AS (SELECT * FROM table_sync.chunk WHERE stream = $1),
           lately AS (SELECT rows, done_at FROM chunk
             WHERE done_at > (SELECT max(done_at) FROM chunk) - interval '1 minute')
         SELECT (SELECT count(*) FROM table_sync.stream_table WHERE stream = $1) AS planned, (SELECT count(*) FROM chunk) AS chunks, (SELECT count(done_at) FROM chunk) AS chunks_done,
           (SELECT coalesce(sum(rows), 0)::bigint FROM chunk) AS rows,
           (SELECT coalesce(sum(estimated_rows), 0)::bigint FROM table_sync.stream_table WHERE stream = $1) AS estimated_rows,
           (SELECT (sum(rows) / nullif(extract(epoch FROM max(done_at) - min(done_at)), 0))::bigint FROM lately) AS rate",
    )
    .bind(stream)
    .fetch_one(to)
    .await?;
    let (chunks, chunks_done): (i64, i64) = (row.get("chunks"), row.get("chunks_done"));
    let (rows, estimated_rows): (i64, i64) = (row.get("rows"), row.get("estimated_rows"));
    // Tables are planned one after the other: before the last one is, nothing open does not mean that nothing is left.
    let is_planned = usize::try_from(row.get::<i64, _>("planned")).is_ok_and(|planned| planned >= tables);
    let is_done = is_planned && chunks == chunks_done;
    let rows_per_second = row.get::<Option<i64>, _>("rate").filter(|rate| *rate > 0);
    let left = (estimated_rows - rows).max(0);
    Ok(Copied {
        is_done,
        chunks_done,
        chunks,
        rows,
        estimated_rows: estimated_rows.max(rows),
        rows_per_second,
        seconds_left: rows_per_second.filter(|_| !is_done).map(|rate| left / rate),
    })
}
