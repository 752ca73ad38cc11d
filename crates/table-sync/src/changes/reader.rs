//! Follows the log of the read database, and notes which rows changed.

use std::collections::HashMap;

use pgwire_replication::{Lsn, ReplicationClient, ReplicationEvent};
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;

use super::decode::{Message, Relation, Tuple, decode};
use super::pending::{Pending, Reached, RowId};
use super::{ASK, MARK};
use crate::apply::TablePlan;
use crate::database::Link;
use crate::error::Error;
use crate::key::Key;

/// PostgreSQL counts microseconds from here.
const EPOCH: OffsetDateTime = time::macros::datetime!(2000-01-01 00:00 UTC);

pub(super) struct Reader<'a> {
    pub(super) link: &'a Link,
    pub(super) slot: &'a str,
    pub(super) plans: &'a [TablePlan],
    pub(super) pending: &'a Pending,
    pub(super) other: Option<&'a Pending>,
    /// Tables by what the stream calls them; `None` for those that are not ours.
    relations: HashMap<u32, Option<Known>>,
    /// The transaction that is read was written by this sync itself.
    ours: bool,
    in_transaction: bool,
    /// The transaction that is read.
    writer: u32,
}

/// A table of the mapping in the stream.
struct Known {
    table: usize,
    /// Where the key's columns are in a tuple.
    key: Vec<usize>,
}

/// What stops a table whose changes cannot be told apart.
const NO_KEY: &str = "a change does not say which row it is of: the key or the replica identity was altered";

impl Known {
    /// The rows that a change is about: two where it changed the key. `None` where it does not say.
    fn rows(&self, tuples: [Option<Tuple<'_>>; 2]) -> Option<Vec<RowId>> {
        let mut rows = Vec::with_capacity(2);
        for tuple in tuples.into_iter().flatten() {
            let value = |place: &usize| tuple.0.get(*place).copied().flatten().map(str::to_owned);
            let key: Option<Vec<String>> = self.key.iter().map(value).collect();
            let row = (self.table, Key::new(key?));
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        Some(rows)
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        link: &'a Link,
        slot: &'a str,
        plans: &'a [TablePlan],
        pending: &'a Pending,
        other: Option<&'a Pending>,
    ) -> Self {
        Self {
            link,
            slot,
            plans,
            pending,
            other,
            relations: HashMap::new(),
            ours: false,
            in_transaction: false,
            writer: 0,
        }
    }

    /// Reads until the stream ends, which is an error, or it is dropped; tells the server how far its log is not needed any more.
    pub(super) async fn read(
        &mut self,
        client: &mut ReplicationClient,
        mut recorded: watch::Receiver<Lsn>,
    ) -> Result<(), Error> {
        loop {
            let event = tokio::select! {
                event = client.recv() => event.map_err(|error| self.ended(error))?,
                _ = recorded.changed() => {
                    client.update_applied_lsn(*recorded.borrow_and_update());
                    continue;
                }
            };
            let Some(event) = event else {
                let closed =
                    pgwire_replication::PgWireError::Task("the server closed the connection".to_owned());
                return Err(self.ended(closed));
            };
            self.take(event).await?;
        }
    }

    fn ended(&self, error: pgwire_replication::PgWireError) -> Error {
        Error::Replication {
            slot: self.slot.to_owned(),
            error,
        }
    }

    async fn take(&mut self, event: ReplicationEvent) -> Result<(), Error> {
        match event {
            ReplicationEvent::Begin { xid, .. } => {
                self.writer = xid;
                self.ours = false;
                self.in_transaction = true;
            }
            ReplicationEvent::XLogData { data, .. } => match decode(&data)? {
                Message::Origin(name) => self.ours = self.link.is_origin(name),
                Message::Relation(relation) => self.learn(&relation),
                Message::Truncate(relations) if !self.ours => {
                    for known in relations.iter().filter_map(|id| self.relations.get(id)).flatten() {
                        self.pending.empty(self.writer, known.table);
                    }
                }
                Message::Change { relation, old, new } if !self.ours => {
                    let Some(known) = self.relations.get(&relation).and_then(Option::as_ref) else {
                        return Ok(());
                    };
                    match known.rows([old, new]) {
                        Some(rows) => self.pending.add(self.writer, rows, self.other).await,
                        None => self.pending.break_off(known.table, NO_KEY),
                    }
                }
                _ => {}
            },
            ReplicationEvent::Commit {
                end_lsn,
                commit_time_micros,
                ..
            } => {
                self.in_transaction = false;
                self.pending.reach(Reached {
                    lsn: end_lsn,
                    at: EPOCH + Duration::microseconds(commit_time_micros),
                    idle: false,
                });
            }
            ReplicationEvent::Message { prefix, content, .. } => self.told(&prefix, &content).await,
            ReplicationEvent::KeepAlive {
                wal_end,
                server_time_micros,
                ..
            } if !self.in_transaction && self.pending.count() == 0 => {
                self.pending.reach(Reached {
                    lsn: wal_end,
                    at: EPOCH + Duration::microseconds(server_time_micros),
                    idle: true,
                });
            }
            ReplicationEvent::KeepAlive { .. } | ReplicationEvent::StoppedAt { .. } => {}
        }
        Ok(())
    }

    fn learn(&mut self, relation: &Relation<'_>) {
        let named = |plan: &TablePlan| {
            let bare = crate::sql::table(relation.name);
            let full = crate::sql::table(&format!("{}.{}", relation.schema, relation.name));
            plan.flow.from == full || plan.flow.from == bare
        };
        let known = self.plans.iter().position(named).map(|table| {
            let place = |name: &String| relation.columns.iter().position(|column| column == name);
            let key = self.plans[table].flow.key.iter();
            Known {
                table,
                // A key that was renamed is not found, and stops the table when the change is looked into.
                key: key.map(|key| place(&key.from).unwrap_or(usize::MAX)).collect(),
            }
        });
        if let Some(known) = &known {
            self.pending.describe(known.table);
        }
        self.relations.insert(relation.id, known);
    }

    /// What this sync wrote into the log for itself.
    async fn told(&mut self, prefix: &str, content: &[u8]) {
        let Ok(content) = std::str::from_utf8(content) else {
            return;
        };
        let Some(content) = content.strip_prefix(&self.link.origin_prefix()) else {
            return;
        };
        if prefix == MARK {
            if let Ok(mark) = content.parse() {
                self.pending.pass(mark);
            }
        } else if prefix == ASK {
            let asked: Option<(String, Vec<serde_json::Value>, bool)> = serde_json::from_str(content).ok();
            let Some((table, keys, decided)) = asked else {
                return;
            };
            let place = self.plans.iter().position(|plan| plan.flow.table == table);
            let Some(place) = place else { return };
            let rows = keys.iter().filter_map(Key::from_json).map(|key| (place, key));
            if decided {
                self.pending.decide(rows);
            } else {
                self.pending.add(self.writer, rows, self.other).await;
            }
        }
    }
}
