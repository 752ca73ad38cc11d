//! Whether what differs still does once the sync has caught up.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::canonical::{Comparison, Side};
use super::{Difference, Kind, Options, Sides};
use crate::database::Link;
use crate::error::{Doing as _, Error};
use crate::key::Key;

/// Rows that are looked at by one query.
const STEP: usize = 1_000;

/// A row that still changes after this many looks is being written all the time: it is left to the next validation.
const LOOKS: usize = 8;

/// Values of a row in canonical form; `None` where there is no such row.
pub(super) type Values = Option<Vec<Option<String>>>;

/// Those rows that differ, and differ in the same way after all that was committed before was carried.
pub(super) async fn confirm(
    link: &Link,
    sides: &mut Sides,
    comparison: &Comparison,
    keys: Vec<Key>,
    options: &Options,
) -> Result<Vec<Difference>, Error> {
    let mut open = look(&mut sides.source, &mut sides.target, comparison, &keys).await?;
    let mut differences = Vec::new();
    for _ in 0..LOOKS {
        if open.is_empty() {
            break;
        }
        super::settle(link, options).await?;
        let keys: Vec<Key> = open.keys().cloned().collect();
        let again = look(&mut sides.source, &mut sides.target, comparison, &keys).await?;
        let (same, moved): (Vec<_>, Vec<_>) = again
            .into_iter()
            .partition(|(key, values)| open.get(key) == Some(values));
        differences.extend(
            same.into_iter()
                .map(|(key, values)| difference(comparison, &key, &values)),
        );
        open = moved.into_iter().collect();
    }
    differences.sort_unstable();
    Ok(differences)
}

/// Those that differ now, with both versions.
pub(super) async fn look(
    source: &mut PgConnection,
    target: &mut PgConnection,
    comparison: &Comparison,
    keys: &[Key],
) -> Result<HashMap<Key, (Values, Values)>, Error> {
    let mut differing = HashMap::new();
    for step in keys.chunks(STEP) {
        let (mut here, mut there) = tokio::try_join!(
            values(source, &comparison.source, step),
            values(target, &comparison.target, step)
        )
        .doing(|| format!("looking at rows of table {}", comparison.table))?;
        for key in step {
            let pair = (here.remove(key), there.remove(key));
            if pair.0 != pair.1 {
                differing.insert(key.clone(), pair);
            }
        }
    }
    Ok(differing)
}

async fn values(
    connection: &mut PgConnection,
    side: &Side,
    keys: &[Key],
) -> Result<HashMap<Key, Vec<Option<String>>>, sqlx::Error> {
    let wanted = serde_json::Value::Array(keys.iter().map(Key::to_json).collect());
    let rows = sqlx::query(AssertSqlSafe(side.values()))
        .bind(wanted)
        .fetch_all(connection)
        .await?;
    let row = |row: &sqlx::postgres::PgRow| (Key::new(row.get::<Vec<String>, _>("key")), row.get("columns"));
    Ok(rows.iter().map(row).collect())
}

pub(super) fn difference(comparison: &Comparison, key: &Key, values: &(Values, Values)) -> Difference {
    let (kind, columns) = match values {
        (Some(here), Some(there)) => {
            let pairs = comparison.columns.iter().zip(here.iter().zip(there));
            let unequal = pairs.filter(|(_, (here, there))| here != there);
            (Kind::Changed, unequal.map(|(name, _)| name.clone()).collect())
        }
        (Some(_), None) => (Kind::Missing, Vec::new()),
        (None, _) => (Kind::Extra, Vec::new()),
    };
    Difference {
        table: comparison.table.clone(),
        key: key.values().to_vec(),
        kind,
        columns,
    }
}
