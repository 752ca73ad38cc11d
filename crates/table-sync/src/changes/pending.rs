//! Rows that changed and are not carried yet: filled by the reader, emptied by the applier, looked into by the other direction.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pgwire_replication::Lsn;
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};

use crate::key::Key;
use crate::state::Reason;

/// The reader waits when this many are open: what they take in memory is bounded, whatever a transaction has.
const ROOM: usize = 100_000;

/// A row, by the place of its table in the mapping.
pub(crate) type RowId = (usize, Key);

/// What the applier takes at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) rows: HashSet<RowId>,
    /// Tables that were emptied.
    pub(crate) emptied: HashSet<usize>,
    /// Whose changes these are, without the epoch: what they wrote has to be visible before it is read.
    pub(crate) writers: HashSet<u32>,
    /// Tables that were altered, or are seen for the first time.
    pub(crate) described: HashSet<usize>,
    /// Tables whose changes cannot be followed, and why.
    pub(crate) broken: BTreeMap<usize, &'static str>,
    /// Conflicts that this direction's version is to win.
    pub(crate) decided: HashSet<RowId>,
    pub(crate) position: Option<Reached>,
}

/// How far the log is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Reached {
    pub(crate) lsn: Lsn,
    pub(crate) at: OffsetDateTime,
    /// There was nothing for us: it need not be recorded at once.
    pub(crate) idle: bool,
}

impl Reached {
    /// Both: as far as the later one, and worth recording if one of them is.
    pub(crate) fn then(self, later: Self) -> Self {
        Self {
            idle: self.idle && later.idle,
            ..if later.lsn >= self.lsn { later } else { self }
        }
    }
}

/// One direction's.
#[derive(Debug)]
pub(crate) struct Pending {
    inner: Mutex<Inner>,
    /// Something came.
    came: Notify,
    /// Something was carried.
    went: Notify,
    /// The newest of the marks that the other direction put in the log.
    mark: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    coming: Batch,
    going: HashSet<RowId>,
    /// Those that are not taken, and those that both sides wrote.
    held: HashMap<RowId, Reason>,
    /// All changed rows of these tables are held back.
    stopped: HashSet<usize>,
    is_full: bool,
}

impl Pending {
    pub(crate) fn new(held: impl IntoIterator<Item = (RowId, Reason)>) -> Self {
        let inner = Inner {
            held: held.into_iter().collect(),
            ..Inner::default()
        };
        Self {
            inner: Mutex::new(inner),
            came: Notify::new(),
            went: Notify::new(),
            mark: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of the reader: rows changed. Waits while there is no room, unless the other direction has none either and each would wait for
    /// the other.
    pub(crate) async fn add(&self, writer: u32, rows: impl IntoIterator<Item = RowId>, other: Option<&Self>) {
        let full = {
            let mut inner = self.lock();
            inner.coming.rows.extend(rows);
            inner.coming.writers.insert(writer);
            inner.is_full = inner.coming.rows.len() + inner.going.len() >= ROOM;
            inner.is_full
        };
        self.came.notify_one();
        if !full {
            return;
        }
        if let Some(other) = other {
            other.went.notify_waiters();
        }
        loop {
            let went = self.went.notified();
            tokio::pin!(went);
            went.as_mut().enable();
            let stuck = other.is_some_and(|other| other.lock().is_full);
            {
                let mut inner = self.lock();
                if inner.coming.rows.len() + inner.going.len() < ROOM || stuck {
                    inner.is_full = false;
                    return;
                }
            }
            went.await;
        }
    }

    pub(crate) fn empty(&self, writer: u32, table: usize) {
        let mut inner = self.lock();
        inner.coming.emptied.insert(table);
        inner.coming.writers.insert(writer);
    }

    pub(crate) fn decide(&self, rows: impl IntoIterator<Item = RowId>) {
        self.lock().coming.decided.extend(rows);
    }

    pub(crate) fn describe(&self, table: usize) {
        self.lock().coming.described.insert(table);
        self.came.notify_one();
    }

    /// Of the reader: a change of this table is lost. Its rows are carried again, all of them, when it is described anew.
    pub(crate) fn break_off(&self, table: usize, problem: &'static str) {
        self.lock().coming.broken.insert(table, problem);
    }

    /// Of the reader: all up to here is in.
    pub(crate) fn reach(&self, reached: Reached) {
        let mut inner = self.lock();
        let before = inner.coming.position;
        inner.coming.position = Some(before.map_or(reached, |before| before.then(reached)));
        drop(inner);
        self.came.notify_one();
    }

    /// Of the reader: the other direction's mark came by.
    pub(crate) fn pass(&self, mark: u64) {
        self.mark.send_if_modified(|last| {
            let newer = mark > *last;
            *last = mark.max(*last);
            newer
        });
    }

    /// Of the other direction: waits until the mark came by, so that all that was committed before it is in.
    pub(crate) async fn passed(&self, mark: u64) {
        let _ = self.mark.subscribe().wait_for(|last| *last >= mark).await;
    }

    /// Of the applier: waits until there is something, and takes it.
    pub(crate) async fn take(&self) -> Batch {
        loop {
            let came = self.came.notified();
            {
                let mut inner = self.lock();
                let coming = &inner.coming;
                let something = coming.position.is_some()
                    || !coming.rows.is_empty()
                    || !coming.emptied.is_empty()
                    || !coming.described.is_empty();
                if something {
                    let batch = std::mem::take(&mut inner.coming);
                    inner.going.clone_from(&batch.rows);
                    return batch;
                }
            }
            came.await;
        }
    }

    /// Of the applier: what was taken is carried, or held.
    pub(crate) fn done(&self) {
        self.lock().going.clear();
        self.went.notify_waiters();
    }

    pub(crate) fn hold(&self, rows: impl IntoIterator<Item = RowId>, reason: Reason) {
        let mut inner = self.lock();
        inner.held.extend(rows.into_iter().map(|row| (row, reason)));
    }

    pub(crate) fn release(&self, row: &RowId) {
        self.lock().held.remove(row);
    }

    pub(crate) fn held(&self, row: &RowId) -> Option<Reason> {
        self.lock().held.get(row).copied()
    }

    pub(crate) fn stop(&self, table: usize, stopped: bool) {
        let mut inner = self.lock();
        if stopped {
            inner.stopped.insert(table);
        } else {
            inner.stopped.remove(&table);
        }
    }

    pub(crate) fn is_stopped(&self, table: usize) -> bool {
        self.lock().stopped.contains(&table)
    }

    /// Which of these changed on this direction's read side and are not carried; those that are held back are among them unless
    /// `only_new`.
    pub(crate) fn open_among<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a RowId>,
        only_new: bool,
    ) -> Vec<RowId> {
        let inner = self.lock();
        let is_open = |row: &&RowId| {
            inner.coming.rows.contains(*row)
                || inner.going.contains(*row)
                || (!only_new && inner.held.contains_key(*row))
        };
        rows.into_iter().filter(is_open).cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        let inner = self.lock();
        inner.coming.rows.len() + inner.going.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Pending, ROOM, RowId};
    use crate::key::Key;
    use crate::state::Reason;

    fn row(id: usize) -> RowId {
        (0, Key::new([id.to_string()]))
    }

    #[tokio::test]
    async fn a_row_is_open_until_it_is_carried() {
        let pending = Pending::new([(row(9), Reason::Conflict)]);
        pending.add(5, [row(1), row(2), row(1)], None).await;
        assert_eq!(
            pending.open_among(&[row(1), row(3), row(9)], false),
            [row(1), row(9)]
        );
        let batch = pending.take().await;
        assert_eq!(batch.rows.len(), 2);
        pending.add(5, [row(3)], None).await;
        assert_eq!(pending.open_among(&[row(1), row(3)], false), [row(1), row(3)]);
        pending.done();
        assert_eq!(pending.open_among(&[row(1), row(3)], false), [row(3)]);
    }

    #[tokio::test]
    async fn the_reader_waits_for_room_but_not_for_itself() {
        let (one, other) = (Arc::new(Pending::new([])), Arc::new(Pending::new([])));
        let fill = |pending: &Arc<Pending>, other: &Arc<Pending>| {
            let (pending, other) = (Arc::clone(pending), Arc::clone(other));
            tokio::spawn(async move { pending.add(5, (0..ROOM).map(row), Some(&other)).await })
        };
        let first = fill(&one, &other);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!first.is_finished(), "there is no room");
        let second = fill(&other, &one);
        second.await.expect("goes on, because both are full");
        assert!(!first.is_finished(), "one is enough");
        assert_eq!(one.take().await.rows.len(), ROOM);
        one.done();
        first.await.expect("there is room again");
    }

    #[tokio::test]
    async fn a_mark_is_waited_for() {
        let pending = Arc::new(Pending::new([]));
        let waiting = {
            let pending = Arc::clone(&pending);
            tokio::spawn(async move { pending.passed(2).await })
        };
        pending.pass(1);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        pending.pass(2);
        waiting.await.expect("it came by");
    }
}
