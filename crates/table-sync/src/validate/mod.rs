//! Finds every difference between the two sides while both are written.
//!
//! A *full* validation compares checksums of ranges of keys, made by one query on each side, and looks closer where they differ, down
//! to the row and the column. A *sample* compares rows picked at random on either side. Rows are compared in a canonical form, so
//! `15.0` is `15` and NULL is not an empty text; what is computed on the way is compared in both directions.
//!
//! A difference counts only if it is still the same after the sync has carried all that was committed when it was seen.

mod canonical;
mod confirm;
mod full;
mod sample;

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use self::canonical::Comparison;
use crate::catalog::{self, LiveTable};
use crate::database::Link;
use crate::error::{Doing as _, Error};
use crate::key::Key;
use crate::mapping::{Direction, Table};

/// How a row differs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It is in the source only.
    Missing,
    /// It is in the target only.
    Extra,
    /// It is in both, with other values.
    Changed,
}

/// A row that is not the same on both sides.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Difference {
    /// As it is called in the target.
    pub table: String,
    /// Its primary key, as text.
    pub key: Vec<String>,
    /// How it differs.
    pub kind: Kind,
    /// The columns that differ, as they are called in the target; those that only the source has, by their name there.
    pub columns: Vec<String>,
}

/// How a validation works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rows of a range that is compared by two queries.
    pub range_rows: NonZeroU32,
    /// Rows of a part of it that is looked into where it differs.
    pub part_rows: NonZeroU32,
    /// The pause after each range as a share of what it took, in percent: 100 halves the load.
    pub pause_percent: u32,
    /// A table with more differences than this is not looked into any further.
    pub most_differences: usize,
    /// How long the sync may take to carry what was committed before.
    pub patience: Duration,
    /// Names of tables in the target; empty for all.
    pub tables: Vec<String>,
}

impl Default for Options {
    /// Gentle, because it runs all the time: ranges of a few milliseconds, and then both servers rest for eighty times as long. For a
    /// night there is [`Options::unthrottled`].
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).expect("not zero");
        Self {
            range_rows: number(250),
            part_rows: number(250),
            pause_percent: 8_000,
            most_differences: 10_000,
            patience: Duration::from_mins(2),
            tables: Vec::new(),
        }
    }
}

impl Options {
    /// As fast as it goes, for a night or a database that nobody uses.
    pub fn unthrottled() -> Self {
        Self {
            range_rows: NonZeroU32::new(10_000).expect("not zero"),
            pause_percent: 0,
            ..Self::default()
        }
    }
}

/// What a validation came to for one table.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct TableReport {
    /// As it is called in the target.
    pub table: String,
    /// Rows of the source, or of the target where that has more.
    pub rows_compared: u64,
    /// In the order of keys.
    pub differences: Vec<Difference>,
    /// There are more than were looked into.
    pub more: bool,
}

/// What is told while it runs: for progress, and to go on after a kill.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A piece of a table is compared.
    Range(Reached),
    /// A table is.
    Table(TableReport),
}

/// How far a full validation of a table is. What it holds is enough to go on from there.
#[derive(Clone, Debug, Default)]
pub struct Reached {
    /// As it is called in the target.
    pub table: String,
    /// All keys up to this one are compared.
    pub up_to: Option<Key>,
    /// Rows so far.
    pub rows: u64,
    /// The planner's estimate.
    pub estimated_rows: u64,
    /// Rows that seemed to differ in the last piece; whether they do is looked at when the table is done.
    pub suspects: Vec<Key>,
    /// There are more than were looked into.
    pub more: bool,
}

/// The two sessions of a validation.
pub(crate) struct Sides {
    pub(crate) source: PgConnection,
    pub(crate) target: PgConnection,
}

impl Sides {
    async fn open(link: &Link) -> Result<Self, Error> {
        let name = format!("{}validate", link.origin_prefix());
        Ok(Self {
            source: link.source.connect(&name).await?,
            target: link.target.connect(&name).await?,
        })
    }

    async fn comparison(&mut self, table: &Table) -> Result<Comparison, Error> {
        let missing = |name: &str| Error::Table(format!("there is no table {name}"));
        let source = catalog::table(&mut self.source, &table.source)
            .await?
            .ok_or_else(|| missing(&table.source))?;
        let target = catalog::table(&mut self.target, &table.target)
            .await?
            .ok_or_else(|| missing(&table.target))?;
        let hash = self.hash().await?;
        Ok(Comparison::new(table, &source, &target, hash))
    }

    /// The quick hash where both servers agree on it, which nothing but trying tells; else MD5.
    async fn hash(&mut self) -> Result<canonical::Hash, Error> {
        const TRIAL: &str = "SELECT bit_xor(hashtextextended(repeat('\u{e4}(1,,\"\")', number), number))
                             FROM generate_series(0, 200) AS number";
        let doing = || "comparing the hash functions".to_owned();
        let source: i64 = sqlx::query_scalar(TRIAL)
            .fetch_one(&mut self.source)
            .await
            .doing(doing)?;
        let target: i64 = sqlx::query_scalar(TRIAL)
            .fetch_one(&mut self.target)
            .await
            .doing(doing)?;
        Ok(if source == target {
            canonical::Hash::Quick
        } else {
            canonical::Hash::Md5
        })
    }
}

fn chosen<'a>(link: &'a Link, options: &Options) -> Result<Vec<&'a Table>, Error> {
    if options.tables.is_empty() {
        return Ok(link.mapping.tables.iter().collect());
    }
    let find = |name: &String| {
        link.mapping.table(name).ok_or_else(|| {
            Error::Table(format!(
                "the mapping of {} has no table {name}",
                link.mapping.domain
            ))
        })
    };
    options.tables.iter().map(find).collect()
}

/// Compares all rows. Of tables that `reached` names, what is left: with the suspects of all their pieces.
///
/// # Errors
/// [`Error::Unsettled`] where the sync did not catch up; the database's.
pub async fn full(
    link: &Link,
    options: &Options,
    reached: &[Reached],
    progress: &mut (dyn FnMut(Progress) + Send),
    shutdown: &CancellationToken,
) -> Result<Vec<TableReport>, Error> {
    let mut sides = Sides::open(link).await?;
    let mut reports = Vec::new();
    for table in chosen(link, options)? {
        let comparison = sides.comparison(table).await?;
        let start = reached.iter().find(|reached| reached.table == table.target);
        let start = start.cloned().unwrap_or_default();
        let found = full::compare(&mut sides, &comparison, options, start, progress, shutdown).await?;
        let differences = confirm::confirm(link, &mut sides, &comparison, found.suspects, options).await?;
        let report = TableReport {
            table: table.target.clone(),
            rows_compared: found.rows,
            differences,
            more: found.more,
        };
        progress(Progress::Table(report.clone()));
        reports.push(report);
    }
    Ok(reports)
}

/// Compares `size` rows, picked at random from the tables in proportion to their sizes, half of them on either side.
///
/// # Errors
/// As [`full`].
pub async fn sample(link: &Link, options: &Options, size: u32) -> Result<Vec<TableReport>, Error> {
    let mut sides = Sides::open(link).await?;
    let mut comparisons = Vec::new();
    for table in chosen(link, options)? {
        comparisons.push(sides.comparison(table).await?);
    }
    let all: u64 = comparisons
        .iter()
        .map(|comparison| comparison.estimated_rows.max(1))
        .sum();
    let mut reports = Vec::new();
    for comparison in &comparisons {
        let share = u128::from(size) * u128::from(comparison.estimated_rows.max(1)) / u128::from(all.max(1));
        let share = u32::try_from(share).unwrap_or(size).max(2);
        let keys = sample::pick(&mut sides, comparison, share).await?;
        let rows = keys.len() as u64;
        let differences = confirm::confirm(link, &mut sides, comparison, keys, options).await?;
        reports.push(TableReport {
            table: comparison.table.clone(),
            rows_compared: rows,
            differences,
            more: false,
        });
    }
    Ok(reports)
}

/// Compares these rows of one table, as a repair does after it has carried them again.
///
/// # Errors
/// As [`full`].
pub async fn rows(
    link: &Link,
    options: &Options,
    table: &str,
    keys: Vec<Key>,
) -> Result<Vec<Difference>, Error> {
    let table = link.mapping.table(table).ok_or_else(|| {
        Error::Table(format!(
            "the mapping of {} has no table {table}",
            link.mapping.domain
        ))
    })?;
    let mut sides = Sides::open(link).await?;
    let comparison = sides.comparison(table).await?;
    confirm::confirm(link, &mut sides, &comparison, keys, options).await
}

/// Waits until all that is committed on the read side of every running direction is carried.
async fn settle(link: &Link, options: &Options) -> Result<(), Error> {
    for direction in [Direction::Forward, Direction::Back] {
        crate::changes::settle(link, direction, options.patience).await?;
    }
    Ok(())
}

/// Those of these rows that differ at this moment, in the caller's sessions.
pub(crate) async fn differing_now(
    table: &Table,
    source_table: &LiveTable,
    target_table: &LiveTable,
    source: &mut PgConnection,
    target: &mut PgConnection,
    keys: &[Key],
) -> Result<Vec<Difference>, Error> {
    let comparison = Comparison::new(table, source_table, target_table, canonical::Hash::Quick);
    let differing = confirm::look(source, target, &comparison, keys).await?;
    let mut differences: Vec<Difference> = differing
        .iter()
        .map(|(key, values)| confirm::difference(&comparison, key, values))
        .collect();
    differences.sort_unstable();
    Ok(differences)
}
