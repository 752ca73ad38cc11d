//! Rows in each other's way: a value that may be there once only has moved from one to another.

use sqlx::Connection as _;

use super::applier::{Applier, Mode};
use super::pending::RowId;
use crate::error::{Doing as _, Error, is_of_a_row};
use crate::key::Key;
use crate::state::{self, Reason};

impl Applier<'_> {
    /// Rows of a table among which values move that may be there once only; false where they have to be looked at one by one.
    pub(super) async fn rewrite(&mut self, table: usize, keys: &[Key]) -> Result<bool, Error> {
        let mut keys = keys.to_vec();
        loop {
            // All of them are looked at like those that changed: one may have been written here.
            let plan = &self.plans[table];
            keys = match plan.tangled(&mut self.from, &mut self.to, keys).await {
                Ok(keys) => keys,
                Err(error) if is_of_a_row(&error) => return Ok(false),
                Err(error) => return Err(error).doing(|| format!("untangling table {}", plan.flow.table)),
            };
            match self.exchange(table, &keys).await? {
                None => return Ok(false),
                Some(others) if others.is_empty() => return Ok(true),
                Some(others) => keys.extend(others),
            }
        }
    }

    /// Writes them in each other's places, or gives the keys of others that are in their way. `None` where one of them must not be
    /// written, or is not taken.
    async fn exchange(&mut self, table: usize, keys: &[Key]) -> Result<Option<Vec<Key>>, Error> {
        let plan = &self.plans[table];
        let doing = || format!("carrying rows of table {}", plan.flow.table);
        let rows: Vec<RowId> = keys.iter().map(|key| (table, key.clone())).collect();
        let in_conflict = |row: &RowId| self.pending.held(row) == Some(Reason::Conflict);
        let is_decided = self.mode == Mode::Decided;
        if !is_decided && rows.iter().any(in_conflict) {
            return Ok(None);
        }
        let mut transaction = self.to.begin().await.doing(doing)?;
        if let Some(guard) = &mut self.guard {
            let contested = guard
                .contested(
                    &mut transaction,
                    &self.plans,
                    &[(table, keys.to_vec())],
                    is_decided,
                )
                .await;
            if !contested.doing(doing)?.is_empty() {
                return Ok(None);
            }
        }
        let done = async {
            let rows = plan.read(&mut self.from, keys.to_vec()).await?;
            let others = plan.exchange(&mut transaction, &rows).await?;
            if others.is_empty() {
                state::release(&mut transaction, self.stream, &plan.flow.table, keys).await?;
                transaction.commit().await?;
            }
            Ok(others)
        };
        match done.await {
            Ok(others) => {
                if others.is_empty() {
                    for row in &rows {
                        self.pending.release(row);
                    }
                }
                Ok(Some(others))
            }
            Err(error) if is_of_a_row(&error) => Ok(None),
            Err(error) => Err(error).doing(doing),
        }
    }
}
