//! One worker of the copy.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio_util::sync::CancellationToken;

use super::Limits;
use crate::apply::{Side, TablePlan, carry_one};
use crate::database::Link;
use crate::error::{Doing as _, Error, is_of_a_row};
use crate::key::Key;
use crate::mapping::Direction;
use crate::sql;
use crate::state::{self, Reason};

pub(super) struct Worker<'a> {
    pub(super) link: &'a Link,
    pub(super) direction: Direction,
    pub(super) plans: &'a [TablePlan],
    pub(super) number: u32,
    pub(super) limits: Limits,
    /// A row takes this long at least.
    pub(super) pace: Option<Duration>,
    pub(super) shutdown: &'a CancellationToken,
}

/// A chunk that this worker has: no other takes it while the transaction is open.
struct Chunk {
    table: String,
    number: i32,
    above: Option<Key>,
    up_to: Option<Key>,
}

impl Worker<'_> {
    /// Copies chunks until there are no more; false where it was told to end before.
    pub(super) async fn work(self) -> Result<bool, Error> {
        let stream = self.link.stream(self.direction);
        let mut from = self.link.from(self.direction).connect(&stream).await?;
        let mut to = self.link.to(self.direction).connect(&stream).await?;
        let worker = format!("copy_{}", self.number);
        self.link.write_as_sync(&mut to, self.direction, &worker).await?;
        loop {
            if self.shutdown.is_cancelled() {
                return Ok(false);
            }
            let began = Instant::now();
            let Some(rows) = self.next(&stream, &mut from, &mut to).await? else {
                // A server has room for few origins at work.
                self.link.forget_origin(&mut to, self.direction, &worker).await?;
                return Ok(true);
            };
            metrics::counter!("banyan_sync_copied_rows_total", "stream" => stream.clone()).increment(rows);
            tokio::select! {
                () = tokio::time::sleep(self.rest(rows, began.elapsed())) => {}
                () = self.shutdown.cancelled() => {}
            }
        }
    }

    /// How long to pause after a chunk.
    fn rest(&self, rows: u64, took: Duration) -> Duration {
        let pause = self.limits.pause_after(took);
        let due = self.pace.map_or(Duration::ZERO, |pace| {
            pace.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX))
        });
        pause.max(due.saturating_sub(took))
    }

    /// Copies a chunk; how many rows it had.
    async fn next(
        &self,
        stream: &str,
        from: &mut PgConnection,
        to: &mut PgConnection,
    ) -> Result<Option<u64>, Error> {
        let doing = || format!("copying for {stream}");
        let mut transaction = to.begin().await.doing(doing)?;
        let Some(chunk) = take(&mut transaction, stream).await.doing(doing)? else {
            return Ok(None);
        };
        let plan = self
            .plans
            .iter()
            .find(|plan| plan.flow.table == chunk.table)
            .ok_or_else(|| Error::Table(format!("table {} is not in the mapping any more", chunk.table)))?;
        let merges = state::merges(&mut transaction, stream, &chunk.table)
            .await
            .doing(doing)?;
        let copied = if merges {
            None
        } else {
            let mut savepoint = transaction.begin().await.doing(doing)?;
            match pour(plan, &chunk, from, &mut savepoint).await {
                Ok(rows) => {
                    savepoint.commit().await.doing(doing)?;
                    Some(rows)
                }
                Err(error) if is_of_a_row(&error) => {
                    savepoint.rollback().await.doing(doing)?;
                    None
                }
                Err(error) => return Err(error).doing(|| format!("copying table {}", chunk.table)),
            }
        };
        let rows = match copied {
            Some(rows) => rows,
            None => merge(plan, &chunk, stream, from, &mut transaction).await?,
        };
        sqlx::query(
            "UPDATE table_sync.chunk SET rows = $4, done_at = clock_timestamp()
             WHERE stream = $1 AND name = $2 AND number = $3",
        )
        .bind(stream)
        .bind(&chunk.table)
        .bind(chunk.number)
        .bind(i64::try_from(rows).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await
        .doing(doing)?;
        transaction.commit().await.doing(doing)?;
        Ok(Some(rows))
    }
}

async fn take(to: &mut PgConnection, stream: &str) -> Result<Option<Chunk>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT name, number, above, up_to FROM table_sync.chunk
         WHERE stream = $1 AND done_at IS NULL ORDER BY name, number LIMIT 1 FOR UPDATE SKIP LOCKED",
    )
    .bind(stream)
    .fetch_optional(to)
    .await?;
    let key = |key: Option<Value>| key.as_ref().and_then(Key::from_json);
    Ok(row.map(|row| Chunk {
        table: row.get("name"),
        number: row.get("number"),
        above: key(row.get("above")),
        up_to: key(row.get("up_to")),
    }))
}

/// From COPY to COPY.
async fn pour(
    plan: &TablePlan,
    chunk: &Chunk,
    from: &mut PgConnection,
    to: &mut PgConnection,
) -> Result<u64, sqlx::Error> {
    let flow = &plan.flow;
    let range = plan.range(Side::Read, chunk.above.as_ref(), chunk.up_to.as_ref());
    let read = format!(
        "COPY (SELECT {} FROM {} {}{} WHERE {range} ORDER BY {}) TO STDOUT",
        flow.select_list(),
        flow.from,
        flow.row,
        flow.lookup,
        sql::list(flow.key_read()),
    );
    let write = format!("COPY {} ({}) FROM STDIN", flow.to, sql::list(flow.names()));
    let mut lines = from.copy_out_raw(&read).await?;
    let mut sink = to.copy_in_raw(&write).await?;
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => {
                sink.send(line).await?;
            }
            Err(error) => {
                sink.abort("the other side cannot be read").await?;
                return Err(error);
            }
        }
    }
    sink.finish().await
}

/// Rows that a statement carries at once.
const STEP: usize = 1_000;

/// Into rows that are there already: writes what differs, deletes what the other side does not have, and holds back what is not taken.
/// Rows that were made here stay: that the other side does not have them says only that nobody has carried them yet.
async fn merge(
    plan: &TablePlan,
    chunk: &Chunk,
    stream: &str,
    from: &mut PgConnection,
    to: &mut PgConnection,
) -> Result<u64, Error> {
    let table = &plan.flow.table;
    let mut count = 0;
    for side in [Side::Read, Side::Written] {
        let connection = match side {
            Side::Read => &mut *from,
            Side::Written => &mut *to,
        };
        let mut keys = plan
            .keys(connection, side, chunk.above.as_ref(), chunk.up_to.as_ref(), None)
            .await
            .doing(|| format!("reading the keys of table {table}"))?;
        if matches!(side, Side::Written) {
            keys.retain(|key| !key.is_born_in_target());
        }
        count = count.max(keys.len() as u64);
        for step in keys.chunks(STEP) {
            merge_some(plan, stream, from, to, step.to_vec()).await?;
        }
    }
    Ok(count)
}

async fn merge_some(
    plan: &TablePlan,
    stream: &str,
    from: &mut PgConnection,
    to: &mut PgConnection,
    keys: Vec<Key>,
) -> Result<(), Error> {
    let table = &plan.flow.table;
    let doing = || format!("copying table {table}");
    let mut todo = vec![keys];
    while let Some(mut keys) = todo.pop() {
        let mut savepoint = to.begin().await.doing(doing)?;
        let done = async {
            let rows = plan.read(from, keys.clone()).await?;
            plan.write(&mut savepoint, &rows).await
        };
        match done.await {
            Ok(_) => {
                savepoint.commit().await.doing(doing)?;
                continue;
            }
            Err(error) if is_of_a_row(&error) => savepoint.rollback().await.doing(doing)?,
            Err(error) => return Err(error).doing(doing),
        }
        if let [key] = keys.as_slice() {
            if let Err(problem) = carry_one(plan, from, to, key).await? {
                state::hold(to, stream, table, &keys, Reason::Refused, &problem)
                    .await
                    .doing(doing)?;
            }
        } else {
            // The few that are not taken as they are cost a handful of tries each, and not one for each row beside them.
            let rest = keys.split_off(keys.len() / 2);
            todo.extend([rest, keys]);
        }
    }
    Ok(())
}
