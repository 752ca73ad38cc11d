//! What concerns tables as a whole: altered ones, those that are stopped, and all of their rows.

use time::OffsetDateTime;

use super::applier::{AGAIN, Applier, Mode, STEP};
use crate::apply::Side;
use crate::catalog;
use crate::drift;
use crate::error::{Doing as _, Error};
use crate::key::Key;
use crate::mapping::Direction;
use crate::state;

/// Rows held back that are tried at once.
const AGAIN_ROWS: i64 = 1_000;

const UNPUBLISHED: &str = "its changes are not published any more: it was dropped and made anew, or taken out of the publication; \
                           pause and resume the sync, and all of its rows are carried again";

impl Applier<'_> {
    /// From now on all of its rows are held back.
    pub(super) async fn stop(&mut self, table: usize, problem: &str) -> Result<(), Error> {
        let name = &self.plans[table].flow.table;
        tracing::error!(stream = self.stream, table = name, problem, "a table is stopped");
        self.pending.stop(table, true);
        state::set_stopped(&mut self.to, self.stream, name, Some(problem), None)
            .await
            .doing(|| format!("stopping table {name}"))
    }

    /// A table was altered, or is seen for the first time.
    pub(super) async fn look_at(&mut self, table: usize) -> Result<(), Error> {
        let mapped = &self.link.mapping.tables[table];
        let looked = drift::look(mapped, self.direction, &mut self.from, &mut self.to).await?;
        let plan = match looked {
            Ok(plan) => plan,
            Err(problem) => return self.stop(table, &problem).await,
        };
        let name = plan.flow.table.clone();
        let states = state::tables(&mut self.to, self.stream).await?;
        let before = states.iter().find(|state| state.name == name);
        let columns = plan.from.as_json();
        let is_other = before.is_some_and(|before| before.stopped.is_some() || before.columns != columns);
        self.plans[table] = plan;
        self.pending.stop(table, false);
        if is_other {
            // To fill a new column, or to turn a type into another, changes no row in the log.
            tracing::warn!(
                stream = self.stream,
                table = name,
                "the table was altered: all of its rows are carried again"
            );
            self.whole(table, Mode::Whole, &[Side::Read, Side::Written])
                .await?;
        }
        if !self.pending.is_stopped(table) {
            state::set_stopped(&mut self.to, self.stream, &name, None, Some(&columns))
                .await
                .doing(|| format!("letting table {name} run"))?;
        }
        Ok(())
    }

    /// Carries all rows of a table that are on these sides.
    pub(super) async fn whole(&mut self, table: usize, mode: Mode, sides: &[Side]) -> Result<(), Error> {
        for side in sides {
            let mut above: Option<Key> = None;
            loop {
                let plan = &self.plans[table];
                let connection = match side {
                    Side::Read => &mut self.from,
                    Side::Written => &mut self.to,
                };
                let keys = plan
                    .keys(connection, *side, above.as_ref(), None, Some(STEP))
                    .await
                    .doing(|| format!("reading the keys of table {}", plan.flow.table))?;
                above = keys.last().cloned();
                if above.is_none() {
                    break;
                }
                // That the source lacks a row that was made here may say only that nobody has carried it yet.
                let spared =
                    *side == Side::Written && mode == Mode::Whole && self.direction == Direction::Forward;
                let keys = keys
                    .into_iter()
                    .filter(|key| !(spared && key.is_born_in_target()));
                self.carry_all(keys.map(|key| (table, key)), mode).await?;
            }
        }
        Ok(())
    }

    /// What was held back, once more: tables whose schema was mended, and rows that were not taken.
    pub(super) async fn try_again(&mut self) -> Result<(), Error> {
        for state in state::tables(&mut self.to, self.stream).await? {
            let place = self.plans.iter().position(|plan| plan.flow.table == state.name);
            let Some(table) = place else { continue };
            let mapped = &self.link.mapping.tables[table];
            let name = match self.direction {
                Direction::Forward => &mapped.source,
                Direction::Back => &mapped.target,
            };
            let live = catalog::table(&mut self.from, name).await?;
            if live.is_some() && !catalog::is_published(&mut self.from, name, self.stream).await? {
                if state.stopped.as_deref() != Some(UNPUBLISHED) {
                    self.stop(table, UNPUBLISHED).await?;
                }
                continue;
            }
            // An altered table that nobody writes tells nothing in the log.
            let is_altered = live.is_none_or(|live| live.as_json() != state.columns);
            if state.stopped.is_some() || is_altered {
                self.look_at(table).await?;
            }
            if !self.pending.is_stopped(table) {
                self.try_table_again(table).await?;
            }
        }
        Ok(())
    }

    async fn try_table_again(&mut self, table: usize) -> Result<(), Error> {
        let name = self.plans[table].flow.table.clone();
        let before = OffsetDateTime::now_utc() - AGAIN;
        loop {
            let keys = state::held(&mut self.to, self.stream, &name, before, AGAIN_ROWS)
                .await
                .doing(|| format!("reading what is held back of table {name}"))?;
            if keys.is_empty() || self.pending.is_stopped(table) {
                return Ok(());
            }
            self.carry_all(keys.into_iter().map(|key| (table, key)), Mode::Again)
                .await?;
        }
    }
}
