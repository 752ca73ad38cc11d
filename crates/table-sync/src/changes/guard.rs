//! Conflicts: rows that both sides wrote before either knew of the other's change.
//!
//! Before a row is written over, it is locked, and the other direction is asked whether it knows of a change to it that it has not
//! carried. For the answer to be whole, it first has to have read the log up to a moment after the lock: a mark is written into that
//! log and waited for. Whoever wrote the row before has committed before the mark; whoever comes later waits for the lock.
//!
//! Where both came to the same there is nothing to decide: both delete what is old, both erase a user.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::timeout;

use super::MARK;
use super::pending::{Pending, RowId};
use crate::apply::TablePlan;
use crate::error::is_of_a_row;
use crate::key::Key;
use crate::state::{self, Reason};

/// How long rows are locked at first while the other direction reads on; doubled each time, so that it ends under any load.
const FIRST_BOUND: Duration = Duration::from_millis(250);

pub(super) struct Guard<'a> {
    /// The other direction's.
    pub(super) other: &'a Pending,
    /// To the written database, and not marked as ours.
    pub(super) marker: PgConnection,
    pub(super) prefix: String,
    pub(super) last_mark: u64,
}

impl Guard<'_> {
    /// Which of these rows changed on the written side too; `only_new` leaves out those that the other direction holds back. They are
    /// locked in the caller's transaction.
    ///
    /// While the other direction reads on, whoever wants to write them waits. In the middle of a large transaction that may take long,
    /// so they are let go meanwhile and locked again.
    pub(super) async fn contested(
        &mut self,
        to: &mut PgConnection,
        plans: &[TablePlan],
        rows: &[(usize, Vec<Key>)],
        only_new: bool,
    ) -> Result<Vec<RowId>, sqlx::Error> {
        let mut bound = FIRST_BOUND;
        loop {
            let mut locked = to.begin().await?;
            for (table, keys) in rows {
                plans[*table].lock(&mut locked, keys).await?;
            }
            self.mark().await?;
            if timeout(bound, self.catch_up()).await.is_ok() {
                locked.commit().await?;
                break;
            }
            locked.rollback().await?;
            self.catch_up().await;
            bound *= 2;
        }
        let ids: Vec<RowId> = rows
            .iter()
            .flat_map(|(table, keys)| keys.iter().map(|key| (*table, key.clone())))
            .collect();
        Ok(self.other.open_among(&ids, only_new))
    }

    /// Puts the next mark into the log that the other direction reads.
    async fn mark(&mut self) -> Result<(), sqlx::Error> {
        self.last_mark += 1;
        sqlx::query("SELECT pg_logical_emit_message(true, $1, $2)")
            .bind(MARK)
            .bind(format!("{}{}", self.prefix, self.last_mark))
            .execute(&mut self.marker)
            .await?;
        Ok(())
    }

    /// Waits until the other direction has read up to the last mark.
    async fn catch_up(&self) {
        self.other.passed(self.last_mark).await;
    }
}

/// Those of the contested rows in which the two sides differ.
pub(super) async fn differing(
    to: &mut PgConnection,
    from: &mut PgConnection,
    plans: &[TablePlan],
    contested: Vec<RowId>,
) -> Result<Vec<RowId>, sqlx::Error> {
    let mut by_table: BTreeMap<usize, Vec<Key>> = BTreeMap::new();
    for (table, key) in contested {
        by_table.entry(table).or_default().push(key);
    }
    let mut todo: Vec<_> = by_table.into_iter().collect();
    let mut differing = Vec::new();
    while let Some((table, mut keys)) = todo.pop() {
        let mut savepoint = to.begin().await?;
        let same = plans[table].same(from, &mut savepoint, &keys).await;
        savepoint.rollback().await?;
        match same {
            Ok(same) => {
                keys.retain(|key| !same.contains(key));
                differing.extend(keys.into_iter().map(|key| (table, key)));
            }
            // A row that this side would not even take.
            Err(error) if is_of_a_row(&error) && keys.len() == 1 => {
                differing.extend(keys.into_iter().map(|key| (table, key)));
            }
            Err(error) if is_of_a_row(&error) => {
                let rest = keys.split_off(keys.len() / 2);
                todo.extend([(table, rest), (table, keys)]);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(differing)
}

/// Keeps both versions of a row, and has neither carried.
pub(super) async fn record(
    to: &mut PgConnection,
    from: &mut PgConnection,
    stream: &str,
    plan: &TablePlan,
    key: &Key,
) -> Result<(), sqlx::Error> {
    let only = std::slice::from_ref(key);
    let there = plan.row_there(from, key).await?;
    let here: String = sqlx::query_scalar(AssertSqlSafe(plan.here.clone()))
        .bind(plan.keys_written(only))
        .fetch_one(&mut *to)
        .await?;
    let here: Value = serde_json::from_str(&here).unwrap_or_default();
    let here = here.get(0).and_then(|pair| pair.get(1)).cloned();
    sqlx::query(
        "INSERT INTO table_sync.conflict (stream, name, key, there, here) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (stream, name, key) WHERE resolved_at IS NULL DO NOTHING",
    )
    .bind(stream)
    .bind(&plan.flow.table)
    .bind(key.to_json())
    .bind(there)
    .bind(here)
    .execute(&mut *to)
    .await?;
    let problem = "both sides wrote it before either knew of the other's change";
    state::hold(to, stream, &plan.flow.table, only, Reason::Conflict, problem).await?;
    tracing::error!(stream, table = plan.flow.table, %key, "conflict: both sides wrote the row");
    metrics::counter!("banyan_sync_conflicts_total", "stream" => stream.to_owned()).increment(1);
    Ok(())
}
