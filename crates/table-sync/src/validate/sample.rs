//! Rows at random.

use sqlx::{AssertSqlSafe, Row as _};

use super::Sides;
use super::canonical::Comparison;
use crate::error::{Doing as _, Error};
use crate::key::Key;

/// Keys of rows of either side, half and half: what is on one side only is found too.
pub(super) async fn pick(sides: &mut Sides, comparison: &Comparison, size: u32) -> Result<Vec<Key>, Error> {
    let mut keys = Vec::new();
    for (side, connection, share) in [
        (&comparison.source, &mut sides.source, size.div_ceil(2)),
        (&comparison.target, &mut sides.target, size / 2),
    ] {
        let statement = side.at_random(comparison.estimated_rows, share);
        let rows = sqlx::query(AssertSqlSafe(statement))
            .fetch_all(connection)
            .await
            .doing(|| format!("picking rows of table {}", comparison.table))?;
        keys.extend(rows.iter().map(|row| Key::new(row.get::<Vec<String>, _>("key"))));
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}
