//! Making rows alike that a validation found different.

use std::collections::BTreeMap;

use banyan_table_sync::changes::{self, Ways};
use banyan_table_sync::{Direction, Key, Link, validate};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Validator;
use crate::error::{Error, Result};
use crate::storage::actions;
use crate::storage::runs::{self, Found};

/// Whose version is right.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// The monolith's.
    Legacy,
    /// The service's.
    New,
}

/// The way of a version that is kept.
impl From<Side> for Direction {
    fn from(side: Side) -> Self {
        match side {
            Side::Legacy => Self::Forward,
            Side::New => Self::Back,
        }
    }
}

/// What a repair did, or would do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Repair {
    pub(crate) run_id: Uuid,
    pub(crate) domain: String,
    /// Whose version is carried to the other side.
    pub(crate) from: Side,
    /// Nothing was written.
    pub(crate) dry_run: bool,
    /// Rows that are, or would be, written again.
    pub(crate) rows: usize,
    /// By table and kind.
    pub(crate) planned: BTreeMap<String, BTreeMap<String, usize>>,
    /// Rows that are alike now; one that nobody had to mend is among them.
    pub(crate) repaired: usize,
    /// Rows that still differ.
    pub(crate) left: usize,
}

/// What is to be repaired, and how much of it at most.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) run: Uuid,
    /// Not needed where rows go one way only.
    pub(crate) from: Option<Side>,
    /// Empty for all.
    pub(crate) tables: Vec<String>,
    /// More rows than this are refused.
    pub(crate) budget: usize,
    pub(crate) dry_run: bool,
}

/// Carries the rows of a run's differences once more, by the running sync and in its turn, so nothing newer is overwritten; then
/// compares them again.
pub(crate) async fn repair(
    validator: &Validator,
    link: &Link,
    ways: Option<Ways>,
    wanted: &Wanted,
    actor: &str,
) -> Result<Repair> {
    let from = side(link, ways, wanted.from)?;
    let mut by_table: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for found in runs::differences(&validator.pool, wanted.run).await? {
        let chosen = wanted.tables.is_empty() || wanted.tables.contains(&found.table);
        if chosen && found.repaired_at.is_none() {
            by_table.entry(found.table.clone()).or_default().push(found);
        }
    }
    let rows: usize = by_table.values().map(Vec::len).sum();
    if rows > wanted.budget {
        return Err(Error::Refused(format!(
            "{rows} rows are to be written again, and the budget is {}: so many differences have one cause, which should be found \
             first; a larger --budget repairs them all the same",
            wanted.budget
        )));
    }
    let mut repair = Repair {
        run_id: wanted.run,
        domain: link.mapping.domain.clone(),
        from,
        dry_run: wanted.dry_run,
        rows,
        planned: planned(&by_table),
        repaired: 0,
        left: rows,
    };
    if wanted.dry_run || rows == 0 {
        return Ok(repair);
    }
    let detail = json!({ "run": wanted.run, "from": from, "rows": rows, "planned": repair.planned });
    let mut connection = validator.pool.acquire().await?;
    actions::record(
        &mut connection,
        actor,
        "validation.repair",
        &link.mapping.domain,
        &detail,
    )
    .await?;
    for (table, found) in by_table {
        let keys: Vec<Key> = found.iter().map(|found| Key::new(found.key.clone())).collect();
        changes::carry_again(link, from.into(), &table, &keys).await?;
        let options = validator.options(Vec::new());
        changes::settle(link, from.into(), options.patience).await?;
        let left = validate::rows(link, &options, &table, keys).await?;
        let is_left = |key: &Vec<String>| left.iter().any(|difference| difference.key == *key);
        let alike: Vec<Vec<String>> = found
            .into_iter()
            .map(|found| found.key)
            .filter(|key| !is_left(key))
            .collect();
        runs::repaired(&mut connection, wanted.run, &table, &alike).await?;
        repair.repaired += alike.len();
    }
    repair.left = rows - repair.repaired;
    Ok(repair)
}

/// Rows go by the running sync, so only the ways that it has are open.
fn side(link: &Link, ways: Option<Ways>, from: Option<Side>) -> Result<Side> {
    let domain = &link.mapping.domain;
    match (ways, from) {
        (None, _) => Err(Error::Refused(format!(
            "the sync of {domain} does not run, and it is what carries the rows; `cutover sync start {domain}`"
        ))),
        (Some(Ways::Both), None) => Err(Error::Refused(
            "rows go both ways: say by --from legacy or --from new whose version is right".to_owned(),
        )),
        (Some(Ways::Forward | Ways::Both), Some(Side::Legacy)) | (Some(Ways::Forward), None) => {
            Ok(Side::Legacy)
        }
        (Some(Ways::Back | Ways::Both), Some(Side::New)) | (Some(Ways::Back), None) => Ok(Side::New),
        (Some(Ways::Forward), Some(Side::New)) => Err(Error::Refused(format!(
            "the sync of {domain} goes forward only; `cutover sync start {domain} --ways both` first"
        ))),
        (Some(Ways::Back), Some(Side::Legacy)) => Err(Error::Refused(format!(
            "the sync of {domain} goes back only; `cutover sync start {domain} --ways both` first"
        ))),
    }
}

fn planned(by_table: &BTreeMap<String, Vec<Found>>) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut planned: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for (table, found) in by_table {
        for found in found {
            *planned
                .entry(table.clone())
                .or_default()
                .entry(found.kind.clone())
                .or_default() += 1;
        }
    }
    planned
}
