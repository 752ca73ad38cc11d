//! Carries what the reader noted, and records how far.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use pgwire_replication::Lsn;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;

use super::guard::{self, Guard};
use super::pending::{Batch, Pending, Reached, RowId};
use super::visible::visible;
use crate::apply::{Side, TablePlan};
use crate::database::Link;
use crate::error::{Doing as _, Error, is_of_a_row, is_of_the_schema, is_unique_violation, told};
use crate::key::Key;
use crate::mapping::Direction;
use crate::state::{self, Reason};

/// Rows of a transaction.
pub(super) const STEP: usize = 1_000;

/// The shortest time between two transactions: what a constant load writes meanwhile goes together, and costs both servers less.
const PACE: Duration = Duration::from_millis(20);

/// How often what is held back is tried again, and an idle position recorded.
pub(super) const AGAIN: Duration = Duration::from_secs(10);

pub(super) struct Applier<'a> {
    pub(super) link: &'a Link,
    pub(super) direction: Direction,
    pub(super) stream: &'a str,
    pub(super) plans: Vec<TablePlan>,
    pub(super) pending: &'a Pending,
    pub(super) guard: Option<Guard<'a>>,
    pub(super) from: PgConnection,
    pub(super) to: PgConnection,
    /// Tells the reader's connection how far the log is not needed any more.
    pub(super) recorded: watch::Sender<Lsn>,
    /// A position without changes, which need not be recorded at once.
    pub(super) idle: Option<Reached>,
    pub(super) mode: Mode,
}

/// Why rows are carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    /// They changed.
    Changed,
    /// They changed, and were held back.
    Again,
    /// Their table was altered; that they changed too is not said.
    Whole,
    /// Both sides wrote them, and this version was chosen.
    Decided,
}

/// Rows of a few tables, in the order of the mapping.
type Rows = Vec<(usize, Vec<Key>)>;

/// Why some rows could not be carried together.
struct Failure {
    table: usize,
    error: sqlx::Error,
}

impl Applier<'_> {
    /// Applies for ever.
    pub(super) async fn apply(&mut self) -> Result<(), Error> {
        let mut looked_again = Instant::now();
        loop {
            let batch = tokio::time::timeout(AGAIN, self.pending.take()).await;
            let pace = tokio::time::sleep(PACE);
            if let Ok(batch) = batch {
                self.tell_open();
                self.carry_batch(batch).await?;
                self.pending.done();
                self.tell_open();
            }
            if looked_again.elapsed() >= AGAIN {
                if let Some(idle) = self.idle.take() {
                    self.advance(idle).await?;
                }
                self.try_again().await?;
                looked_again = Instant::now();
            }
            pace.await;
        }
    }

    fn tell_open(&self) {
        #[allow(clippy::cast_precision_loss, reason = "some 100,000 at most")]
        let open = self.pending.count() as f64;
        metrics::gauge!("banyan_sync_open_rows", "stream" => self.stream.to_owned()).set(open);
    }

    async fn carry_batch(&mut self, batch: Batch) -> Result<(), Error> {
        visible(&mut self.from, &batch.writers)
            .await
            .doing(|| format!("waiting for the changes of {}", self.stream))?;
        for table in &batch.described {
            self.look_at(*table).await?;
        }
        for (table, problem) in &batch.broken {
            self.stop(*table, problem).await?;
        }
        for table in &batch.emptied {
            self.whole(*table, Mode::Changed, &[Side::Written]).await?;
        }
        if !batch.decided.is_empty() {
            self.drop_other_version(&batch.decided).await?;
            self.carry_all(batch.decided, Mode::Decided).await?;
        }
        let position = batch.position;
        let steps = self.in_steps(batch.rows);
        let last = steps.len();
        let mut recorded = false;
        for (number, step) in (1..).zip(steps) {
            recorded = self.carry(step, position.filter(|_| number == last)).await?;
        }
        match position {
            Some(position) if recorded => {
                self.recorded.send_replace(position.lsn);
            }
            Some(position) if position.idle => {
                self.idle = Some(position);
                return Ok(());
            }
            Some(position) => self.advance(position).await?,
            None => return Ok(()),
        }
        self.idle = None;
        Ok(())
    }

    async fn advance(&mut self, position: Reached) -> Result<(), Error> {
        state::advance(&mut self.to, self.stream, position.lsn, position.at)
            .await
            .doing(|| format!("recording the position of {}", self.stream))?;
        self.recorded.send_replace(position.lsn);
        Ok(())
    }

    /// Those that may be carried, some at a time, parents first.
    fn in_steps(&self, rows: impl IntoIterator<Item = RowId>) -> Vec<Rows> {
        let mut by_table: BTreeMap<usize, Vec<Key>> = BTreeMap::new();
        for row in rows {
            if self.mode == Mode::Decided || self.pending.held(&row) != Some(Reason::Conflict) {
                by_table.entry(row.0).or_default().push(row.1);
            }
        }
        let mut steps: Vec<Rows> = Vec::new();
        let mut room = 0;
        for (table, mut keys) in by_table {
            // Always in one order: two that lock the same rows do not wait for each other.
            keys.sort_unstable();
            while !keys.is_empty() {
                if room == 0 {
                    steps.push(Rows::new());
                    room = STEP;
                }
                let rest = keys.split_off(keys.len().min(room));
                room -= keys.len();
                if let Some(step) = steps.last_mut() {
                    step.push((table, keys));
                }
                keys = rest;
            }
        }
        steps
    }

    /// Carries rows and the position in one transaction; where that fails because of a row, without the position, and in the end row by
    /// row. True where the position is recorded.
    async fn carry(&mut self, rows: Rows, position: Option<Reached>) -> Result<bool, Error> {
        let mut todo = vec![rows];
        let mut whole = true;
        while let Some(rows) = todo.pop() {
            let rows = self.without_stopped(rows).await?;
            let failure = match self.attempt(&rows, position.filter(|_| whole)).await? {
                Ok(()) => continue,
                Err(failure) => failure,
            };
            if is_of_the_schema(&failure.error) {
                whole = false;
                self.stop(failure.table, &told(&failure.error)).await?;
                todo.push(rows);
                continue;
            }
            if !is_of_a_row(&failure.error) {
                let table = &self.plans[failure.table].flow.table;
                return Err(failure.error).doing(|| format!("carrying rows of table {table}"));
            }
            whole = false;
            match rows.as_slice() {
                [] => {}
                [(table, keys)] if keys.len() == 1 => {
                    self.carry_single(*table, &keys[0], &told(&failure.error)).await?;
                }
                [(table, keys)] if is_unique_violation(&failure.error) => {
                    if !self.rewrite(*table, keys).await? {
                        todo.extend(halves(rows));
                    }
                }
                _ => todo.extend(halves(rows)),
            }
        }
        Ok(whole && position.is_some())
    }

    /// One transaction.
    async fn attempt(
        &mut self,
        rows: &[(usize, Vec<Key>)],
        position: Option<Reached>,
    ) -> Result<Result<(), Failure>, Error> {
        let stream = self.stream;
        let doing = || format!("writing for {stream}");
        let mut transaction = self.to.begin().await.doing(doing)?;
        let mut contested = Vec::new();
        if let Some(guard) = &mut self.guard {
            let only_new = self.mode == Mode::Decided;
            contested = guard
                .contested(&mut transaction, &self.plans, rows, only_new)
                .await
                .doing(doing)?;
            contested = guard::differing(&mut transaction, &mut self.from, &self.plans, contested)
                .await
                .doing(doing)?;
            // What only the other side wrote comes from there.
            let both_wrote = contested.iter().filter(|_| self.mode != Mode::Whole);
            for (table, key) in both_wrote {
                guard::record(&mut transaction, &mut self.from, stream, &self.plans[*table], key)
                    .await
                    .doing(doing)?;
            }
        }
        let mut changed = 0;
        let mut released = Vec::new();
        for (table, keys) in rows {
            let plan = &self.plans[*table];
            let mut keys = keys.clone();
            keys.retain(|key| {
                !contested
                    .iter()
                    .any(|(place, other)| place == table && other == key)
            });
            let mut free = keys.clone();
            free.retain(|key| {
                matches!(self.mode, Mode::Again | Mode::Decided)
                    || self.pending.held(&(*table, key.clone())).is_some()
            });
            let carried = async {
                let rows = plan.read(&mut self.from, keys).await?;
                let written = plan.write(&mut transaction, &rows).await?;
                if !free.is_empty() {
                    state::release(&mut transaction, stream, &plan.flow.table, &free).await?;
                }
                Ok(written)
            };
            match carried.await {
                Ok(written) => changed += written,
                Err(error) => return Ok(Err(Failure { table: *table, error })),
            }
            released.extend(free.into_iter().map(|key| (*table, key)));
        }
        if let Some(position) = position {
            state::advance(&mut transaction, stream, position.lsn, position.at)
                .await
                .doing(doing)?;
        }
        transaction.commit().await.doing(doing)?;
        if self.mode != Mode::Whole {
            self.pending.hold(contested, Reason::Conflict);
        }
        for row in &released {
            self.pending.release(row);
        }
        metrics::counter!("banyan_sync_applied_rows_total", "stream" => stream.to_owned()).increment(changed);
        Ok(Ok(()))
    }

    /// A row that cannot be carried as it is.
    async fn carry_single(&mut self, table: usize, key: &Key, problem: &str) -> Result<(), Error> {
        if self.rewrite(table, std::slice::from_ref(key)).await? {
            return Ok(());
        }
        let name = &self.plans[table].flow.table;
        let row = (table, key.clone());
        if self.pending.held(&row).is_none() {
            // Without the problem, which may quote the row's values: `table_sync.held` has it.
            tracing::error!(stream = self.stream, table = name, %key, "a row is held back");
        }
        let only = std::slice::from_ref(key);
        state::hold(&mut self.to, self.stream, name, only, Reason::Refused, problem)
            .await
            .doing(|| format!("holding rows of table {name}"))?;
        self.pending.hold([row], Reason::Refused);
        Ok(())
    }

    /// Holds back the rows of stopped tables, of this direction or the other.
    async fn without_stopped(&mut self, rows: Rows) -> Result<Rows, Error> {
        let other = self.guard.as_ref().map(|guard| guard.other);
        let is_stopped = |table: usize| {
            self.pending.is_stopped(table) || other.is_some_and(|other| other.is_stopped(table))
        };
        let (stopped, going): (Rows, Rows) = rows.into_iter().partition(|(table, _)| is_stopped(*table));
        for (table, keys) in stopped {
            let name = &self.plans[table].flow.table;
            state::hold(
                &mut self.to,
                self.stream,
                name,
                &keys,
                Reason::Stopped,
                "the table is stopped",
            )
            .await
            .doing(|| format!("holding rows of table {name}"))?;
        }
        Ok(going)
    }

    pub(super) async fn carry_all(
        &mut self,
        rows: impl IntoIterator<Item = RowId>,
        mode: Mode,
    ) -> Result<(), Error> {
        self.mode = mode;
        for step in self.in_steps(rows) {
            self.carry(step, None).await?;
        }
        self.mode = Mode::Changed;
        Ok(())
    }

    /// The other direction holds its versions back no more: they are to be overwritten. First, so that after a crash the conflict is
    /// still open here, and can be decided again.
    async fn drop_other_version(&mut self, rows: &HashSet<RowId>) -> Result<(), Error> {
        let Some(other) = self.guard.as_ref().map(|guard| guard.other) else {
            return Ok(());
        };
        let stream = self.link.stream(self.direction.opposite());
        for (table, key) in rows {
            let (name, only) = (&self.plans[*table].flow.table, std::slice::from_ref(key));
            state::release(&mut self.from, &stream, name, only)
                .await
                .doing(|| format!("deciding a conflict of table {name}"))?;
            other.release(&(*table, key.clone()));
        }
        Ok(())
    }
}

fn halves(mut rows: Rows) -> Vec<Rows> {
    if rows.len() > 1 {
        let rest = rows.split_off(rows.len() / 2);
        return vec![rest, rows];
    }
    let Some((table, mut keys)) = rows.pop() else {
        return Vec::new();
    };
    let rest = keys.split_off(keys.len() / 2);
    vec![vec![(table, rest)], vec![(table, keys)]]
}
