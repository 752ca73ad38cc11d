//! All rows, by checksums of ranges.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tokio_util::sync::CancellationToken;

use super::canonical::{Comparison, Range, Side};
use super::{Options, Progress, Reached, Sides};
use crate::error::{Doing as _, Error};
use crate::key::Key;

/// Rows that are looked at together where a checksum differs.
const PIECE: usize = 1_000;

/// Count and checksum of parts, by their number.
type Checksums = HashMap<i32, (i64, Option<i64>)>;

pub(super) async fn compare(
    sides: &mut Sides,
    comparison: &Comparison,
    options: &Options,
    start: Reached,
    progress: &mut (dyn FnMut(Progress) + Send),
    shutdown: &CancellationToken,
) -> Result<Reached, Error> {
    let table = &comparison.table;
    let doing = || format!("comparing table {table}");
    let part_rows = options.part_rows.get();
    // A whole number of parts: the last border ends the range.
    let range_rows = (options.range_rows.get() / part_rows).max(1) * part_rows;
    let mut above = start.up_to;
    let mut found = Reached {
        table: table.clone(),
        up_to: None,
        ..start
    };
    loop {
        let suspects_before = found.suspects.len();
        let began = Instant::now();
        let statement = comparison.source.borders(above.as_ref(), range_rows, part_rows);
        let borders = sqlx::query(AssertSqlSafe(statement))
            .fetch_all(&mut sides.source)
            .await
            .doing(doing)?;
        let is_whole = borders
            .last()
            .is_some_and(|row| row.get::<i64, _>("place") == i64::from(range_rows));
        let mut borders: Vec<Key> = borders.iter().map(key).collect();
        let up_to = if is_whole { borders.pop() } else { None };
        if !comparison.source.has_parts() {
            borders.clear();
        }
        let range = Range {
            above: above.as_ref(),
            up_to: up_to.as_ref(),
            ..Range::default()
        };
        let (here, there) = tokio::try_join!(
            checksums(&mut sides.source, &comparison.source, range, &borders),
            checksums(&mut sides.target, &comparison.target, range, &borders)
        )
        .doing(doing)?;
        let count = |checksums: &Checksums| checksums.values().map(|(rows, _)| rows).sum::<i64>();
        found.rows += u64::try_from(count(&here).max(count(&there))).unwrap_or_default();
        for part in differing(&here, &there) {
            if found.suspects.len() >= options.most_differences {
                found.more = true;
                break;
            }
            let part = part_of(range, &borders, part);
            let most = options.most_differences - found.suspects.len();
            let (keys, more) = unequal(sides, comparison, part, most).await.doing(doing)?;
            found.suspects.extend(keys);
            found.more |= more;
        }
        found.estimated_rows = comparison.estimated_rows.max(found.rows);
        let Some(up_to) = up_to else {
            return Ok(found);
        };
        progress(Progress::Range(Reached {
            table: table.clone(),
            up_to: Some(up_to.clone()),
            suspects: found.suspects[suspects_before..].to_vec(),
            ..found
        }));
        above = Some(up_to);
        let pause = began.elapsed() * options.pause_percent / 100;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return Err(Error::Stopped),
        }
    }
}

fn key(row: &sqlx::postgres::PgRow) -> Key {
    Key::new(row.get::<Vec<String>, _>("key"))
}

async fn checksums(
    connection: &mut PgConnection,
    side: &Side,
    range: Range<'_>,
    borders: &[Key],
) -> Result<Checksums, sqlx::Error> {
    let rows = sqlx::query(AssertSqlSafe(side.checksums(range, borders)))
        .fetch_all(connection)
        .await?;
    let part = |row: &sqlx::postgres::PgRow| (row.get("part"), (row.get("rows"), row.get("checksum")));
    Ok(rows.iter().map(part).collect())
}

fn differing(here: &Checksums, there: &Checksums) -> BTreeSet<i32> {
    let parts = here.keys().chain(there.keys()).copied();
    parts.filter(|part| here.get(part) != there.get(part)).collect()
}

/// `width_bucket`: the part before the first border is 0, and a border begins the part of its number.
fn part_of<'a>(range: Range<'a>, borders: &'a [Key], part: i32) -> Range<'a> {
    let part = usize::try_from(part).unwrap_or_default();
    Range {
        at_least: part.checked_sub(1).and_then(|before| borders.get(before)),
        below: borders.get(part),
        ..range
    }
}

/// The keys of a part whose rows are not the same on both sides, so many at most, and whether there are more. It is read piece by piece,
/// because it may be a whole range, or hold any number of rows that one side alone has.
async fn unequal(
    sides: &mut Sides,
    comparison: &Comparison,
    part: Range<'_>,
    most: usize,
) -> Result<(Vec<Key>, bool), sqlx::Error> {
    let (mut keys, mut above): (Vec<Key>, Option<Key>) = (Vec::new(), None);
    loop {
        let piece = Range {
            above: above.as_ref().or(part.above),
            ..part
        };
        let here = rows(&mut sides.source, &comparison.source, piece, PIECE).await?;
        let last = here.last().filter(|_| here.len() == PIECE);
        let last = last.map(|(key, _)| key.clone());
        let piece = Range {
            up_to: last.as_ref().or(part.up_to),
            ..piece
        };
        let limit = PIECE + most;
        let there = rows(&mut sides.target, &comparison.target, piece, limit).await?;
        let is_cut = there.len() == limit;
        let (here, there): (HashMap<_, _>, HashMap<_, _>) =
            (here.into_iter().collect(), there.into_iter().collect());
        let all: BTreeSet<&Key> = here.keys().chain(there.keys()).collect();
        keys.extend(
            all.into_iter()
                .filter(|key| here.get(*key) != there.get(*key))
                .cloned(),
        );
        if is_cut || keys.len() > most {
            keys.truncate(most);
            return Ok((keys, true));
        }
        if last.is_none() {
            return Ok((keys, false));
        }
        above = last;
    }
}

/// In the order of their keys.
async fn rows(
    connection: &mut PgConnection,
    side: &Side,
    range: Range<'_>,
    limit: usize,
) -> Result<Vec<(Key, i64)>, sqlx::Error> {
    let rows = sqlx::query(AssertSqlSafe(side.rows(range, limit)))
        .fetch_all(connection)
        .await?;
    Ok(rows.iter().map(|row| (key(row), row.get("hash"))).collect())
}
