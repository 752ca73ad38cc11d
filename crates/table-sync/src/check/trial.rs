//! Some rows are carried for a trial, in a transaction that is rolled back.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{Finding, Options, fatal};
use crate::apply::{Side, TablePlan};
use crate::error::{Doing as _, Error, is_of_a_row, told};
use crate::key::Key;
use crate::mapping::Table;
use crate::{sql, validate};

/// Carries some rows of each table, in a transaction that is rolled back.
pub(super) async fn trial(
    plans: &[(&Table, TablePlan)],
    source: &mut PgConnection,
    target: &mut PgConnection,
    options: Options,
) -> Result<Vec<Finding>, Error> {
    let doing = || "trying the mapping".to_owned();
    let mut findings = Vec::new();
    // Of one moment: rows that others write meanwhile are no findings.
    let mut source = source
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await
        .doing(doing)?;
    let mut transaction = target.begin().await.doing(doing)?;
    sqlx::query("SET LOCAL session_replication_role = 'replica'")
        .execute(&mut *transaction)
        .await
        .doing(doing)?;
    let keys = with_parents(plans, &mut source, options.rows).await?;
    for ((table, plan), keys) in plans.iter().zip(keys) {
        let mut bad = Vec::new();
        let mut todo = vec![keys.clone()];
        while let Some(keys) = todo.pop() {
            let mut reading = source.begin().await.doing(doing)?;
            let mut savepoint = transaction.begin().await.doing(doing)?;
            let done = async {
                let rows = plan.read(&mut reading, keys.clone()).await?;
                plan.write(&mut savepoint, &rows).await
            };
            let done = done.await;
            reading.rollback().await.doing(doing)?;
            match done {
                Ok(_) => savepoint.commit().await.doing(doing)?,
                Err(error) if is_of_a_row(&error) => {
                    savepoint.rollback().await.doing(doing)?;
                    match keys.as_slice() {
                        [] => {}
                        [key] => {
                            findings.push(fatal(
                                table,
                                None,
                                format!("row {key} is not taken: {}", told(&error)),
                            ));
                            bad.push(key.clone());
                        }
                        // One of each kind is enough.
                        _ if bad.len() >= 10 => {}
                        _ => {
                            let (some, others) = keys.split_at(keys.len() / 2);
                            todo.extend([others.to_vec(), some.to_vec()]);
                        }
                    }
                }
                Err(error) => {
                    findings.push(fatal(
                        table,
                        None,
                        format!("an expression fails: {}", told(&error)),
                    ));
                    break;
                }
            }
        }
        if bad.is_empty() {
            findings.extend(there_and_back(table, plan, &keys, &mut source, &mut transaction).await?);
        }
    }
    transaction.rollback().await.doing(doing)?;
    Ok(findings)
}

/// Some rows of each table, and those of other tables that they point to: the mapping may look something up there.
async fn with_parents(
    plans: &[(&Table, TablePlan)],
    source: &mut PgConnection,
    rows: u32,
) -> Result<Vec<Vec<Key>>, Error> {
    let mut keys: Vec<BTreeSet<Key>> = Vec::new();
    for (_, plan) in plans {
        keys.push(some_keys(plan, source, rows).await?.into_iter().collect());
    }
    let names: Vec<&str> = plans.iter().map(|(_, plan)| plan.flow.from.as_str()).collect();
    // Parents come first in a mapping, so theirs are looked for last.
    for (place, (_, plan)) in plans.iter().enumerate().rev() {
        let doing = || format!("looking at what table {} points to", plan.flow.from);
        let references: Vec<(i64, Vec<String>, Vec<String>)> = sqlx::query_as(
            "SELECT place - 1, of_child.names, of_parent.names FROM pg_constraint
             JOIN unnest($2::text[]) WITH ORDINALITY AS parent (name, place) ON confrelid = name::regclass,
             LATERAL (SELECT array_agg(attname::text ORDER BY n) FROM unnest(conkey) WITH ORDINALITY AS k (attnum, n)
               JOIN pg_attribute a ON attrelid = conrelid AND a.attnum = k.attnum) AS of_child (names),
             LATERAL (SELECT array_agg(attname::text ORDER BY n) FROM unnest(confkey) WITH ORDINALITY AS k (attnum, n)
               JOIN pg_attribute a ON attrelid = confrelid AND a.attnum = k.attnum) AS of_parent (names)
             WHERE contype = 'f' AND conrelid = $1::regclass AND confrelid <> conrelid",
        )
        .bind(&plan.flow.from)
        .bind(&names)
        .fetch_all(&mut *source)
        .await
        .doing(doing)?;
        for (parent, columns, referenced) in references {
            let parent = usize::try_from(parent).unwrap_or_default();
            let pairs: Vec<_> = columns.into_iter().zip(referenced).collect();
            let found = plan
                .pointed_to(source, &keys[place], &plans[parent].1, &pairs)
                .await;
            keys[parent].extend(found.doing(doing)?);
        }
    }
    Ok(keys.into_iter().map(|keys| keys.into_iter().collect()).collect())
}

/// The first and the last.
async fn some_keys(plan: &TablePlan, source: &mut PgConnection, rows: u32) -> Result<Vec<Key>, Error> {
    let key = plan.flow.key_read();
    let texts = sql::list(key.iter().map(|key| format!("{key}::text")));
    let half = rows.div_ceil(2);
    let mut keys = Vec::new();
    for backwards in ["", " DESC"] {
        let order = sql::list(key.iter().map(|key| format!("{key}{backwards}")));
        let found: Vec<Value> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT jsonb_build_array({texts}) FROM {} {} WHERE {} ORDER BY {order} LIMIT {half}",
            plan.flow.from,
            plan.flow.row,
            plan.range(Side::Read, None, None)
        )))
        .fetch_all(&mut *source)
        .await
        .doing(|| format!("reading keys of {}", plan.flow.from))?;
        keys.extend(found.iter().filter_map(Key::from_json));
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// Whether each column is what it was, carried there and back.
async fn there_and_back(
    table: &Table,
    plan: &TablePlan,
    keys: &[Key],
    source: &mut PgConnection,
    target: &mut PgConnection,
) -> Result<Vec<Finding>, Error> {
    let differences = validate::differing_now(table, &plan.from, &plan.to, source, target, keys).await?;
    let mut findings: Vec<Finding> = Vec::new();
    for difference in differences {
        let key = difference.key.join(", ");
        if difference.columns.is_empty() && findings.is_empty() {
            let problem = format!(
                "row {key} would be one that `only` of {} does not name",
                table.target
            );
            findings.push(fatal(table, None, problem));
        }
        for column in difference.columns {
            let known = findings
                .iter()
                .any(|finding| finding.column.as_deref() == Some(&column));
            if !known {
                let problem =
                    format!("row {key} does not come back as it was: the two ways do not fit each other");
                findings.push(fatal(table, Some(&column), problem));
            }
        }
    }
    Ok(findings)
}
