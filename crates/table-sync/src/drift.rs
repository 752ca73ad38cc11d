//! Whether the mapping still fits a table that was altered.

use sqlx::PgConnection;

use crate::apply::TablePlan;
use crate::catalog::{self, LiveTable};
use crate::error::Error;
use crate::mapping::{Direction, Flow, Table};
use crate::sql;

/// The table's plan as the databases are now; `Err` within `Ok` says what the mapping has no answer to.
pub(crate) async fn look(
    table: &Table,
    direction: Direction,
    from: &mut PgConnection,
    to: &mut PgConnection,
) -> Result<Result<TablePlan, String>, Error> {
    let (from_name, to_name) = match direction {
        Direction::Forward => (&table.source, &table.target),
        Direction::Back => (&table.target, &table.source),
    };
    let Some(live_from) = catalog::table(from, from_name).await? else {
        return Ok(Err(format!("table {from_name} is not there any more")));
    };
    let Some(live_to) = catalog::table(to, to_name).await? else {
        return Ok(Err(format!("table {to_name} is not there any more")));
    };
    let unknown = unaccounted(table, direction, &live_from);
    if !unknown.is_empty() {
        return Ok(Err(format!(
            "table {from_name} has a column that the mapping does not know: {}; carry it, or leave it out with a reason",
            unknown.join(", ")
        )));
    }
    let gone = missing(table, direction, &live_from);
    if !gone.is_empty() {
        return Ok(Err(format!(
            "table {from_name} has no column {} any more, which the mapping carries",
            gone.join(", ")
        )));
    }
    if let Some(problem) = keyless(table, direction, &live_from) {
        return Ok(Err(problem));
    }
    Ok(TablePlan::new(Flow::new(table, direction), live_from, live_to).map_err(|error| error.to_string()))
}

/// The names that the mapping has an answer for, on the read side: carried as they are, computed back from, or left out.
fn known(table: &Table, direction: Direction) -> Vec<&String> {
    let same = table.same.iter();
    match direction {
        Direction::Forward => same
            .map(|(source, _)| source)
            .chain(table.back.keys())
            .chain(table.left_out_source.keys())
            .collect(),
        Direction::Back => same
            .map(|(_, target)| target)
            .chain(table.forward.keys())
            .chain(table.left_out_target.keys())
            .collect(),
    }
}

/// Columns that the mapping says nothing of.
pub(crate) fn unaccounted(table: &Table, direction: Direction, live: &LiveTable) -> Vec<String> {
    let known = known(table, direction);
    let names = live.columns.iter().map(|column| &column.name);
    names.filter(|name| !known.contains(name)).cloned().collect()
}

/// Columns that the mapping has and the table does not.
pub(crate) fn missing(table: &Table, direction: Direction, live: &LiveTable) -> Vec<String> {
    let names = known(table, direction).into_iter();
    names
        .filter(|name| live.column(name).is_none())
        .cloned()
        .collect()
}

/// Why a change of a row would not say which row it is, where it would not.
pub(crate) fn keyless(table: &Table, direction: Direction, live: &LiveTable) -> Option<String> {
    let (name, mut wanted): (_, Vec<&String>) = match direction {
        Direction::Forward => (
            &table.source,
            table.key.iter().map(|(source, _)| source).collect(),
        ),
        Direction::Back => (
            &table.target,
            table.key.iter().map(|(_, target)| target).collect(),
        ),
    };
    let told = sql::list(&wanted);
    let mut primary: Vec<&String> = live.primary_key.iter().collect();
    primary.sort_unstable();
    wanted.sort_unstable();
    if primary != wanted {
        let key = sql::list(&live.primary_key);
        return Some(format!(
            "the key of the mapping is ({told}), the primary key of {name} is ({key})"
        ));
    }
    (!matches!(live.replica_identity, 'd' | 'f')).then(|| {
        format!("deletes in {name} would not say which row: ALTER TABLE {name} REPLICA IDENTITY DEFAULT")
    })
}
