//! Runs, and what they found.

use banyan_table_sync::Key;
use banyan_table_sync::validate::{Difference, Kind, Reached, TableReport};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, PgPool, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::{Error, Result};

/// A comparison of both sides.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    #[serde(rename = "run_id")]
    pub(crate) id: Uuid,
    pub(crate) domain: String,
    /// `sample` or `full`.
    pub(crate) kind: String,
    pub(crate) asked_by: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) finished_at: Option<OffsetDateTime>,
    /// `equal`, `different` or `undecided`; `None` while it runs, or where it was killed.
    pub(crate) outcome: Option<String>,
    pub(crate) problem: Option<String>,
    /// What was asked for, of a sample.
    pub(crate) sample_size: Option<i32>,
    pub(crate) rows_compared: i64,
    pub(crate) mismatches: i64,
    /// Mismatches by rows compared, as exact decimal text.
    pub(crate) mismatch_rate: String,
    pub(crate) trace_id: Option<String>,
    pub(crate) tables: Vec<TableResult>,
}

/// A table of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TableResult {
    pub(crate) table: String,
    pub(crate) rows_compared: i64,
    pub(crate) mismatches: i64,
    /// There are more than were looked into.
    pub(crate) has_more: bool,
    pub(crate) is_finished: bool,
}

/// A difference as it is kept.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Found {
    pub(crate) table: String,
    pub(crate) key: Vec<String>,
    /// `missing`: in the legacy side only; `extra`: in the new one only; `changed`.
    pub(crate) kind: String,
    pub(crate) columns: Vec<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(crate) repaired_at: Option<OffsetDateTime>,
}

/// What is to be compared.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) domain: &'a str,
    pub(crate) by: &'a str,
    /// Rows of a sample; `None` for all rows.
    pub(crate) sample_size: Option<u32>,
    /// Empty for all.
    pub(crate) tables: &'a [String],
}

impl Asked<'_> {
    fn kind(&self) -> &'static str {
        if self.sample_size.is_some() {
            "sample"
        } else {
            "full"
        }
    }
}

/// Mismatches by rows compared, with six digits.
pub(crate) fn rate(mismatches: i64, rows: i64) -> String {
    let rows = rows.max(1);
    let millionths = i128::from(mismatches) * 1_000_000 / i128::from(rows);
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

/// Held by whoever writes a domain's runs down, for as long as the session lives. `None`: somebody else does.
pub(crate) async fn lock(pool: &PgPool, domain: &str) -> Result<Option<PgConnection>> {
    let mut connection = pool.acquire().await?.detach();
    let alone: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('banyan:validation:' || $1, 0))")
            .bind(domain)
            .fetch_one(&mut connection)
            .await?;
    if alone {
        return Ok(Some(connection));
    }
    connection.close().await?;
    Ok(None)
}

pub(crate) async fn begin(pool: &PgPool, asked: &Asked<'_>, trace_id: Option<&str>) -> Result<Uuid> {
    let id = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO validation_run (id, domain, kind, asked_by, tables, sample_size, trace_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id)
    .bind(asked.domain)
    .bind(asked.kind())
    .bind(asked.by)
    .bind(asked.tables)
    .bind(
        asked
            .sample_size
            .map(|size| i32::try_from(size).unwrap_or(i32::MAX)),
    )
    .bind(trace_id)
    .execute(pool)
    .await?;
    Ok(id)
}

/// A full run of the same tables that nobody finished.
pub(crate) async fn unfinished(pool: &PgPool, asked: &Asked<'_>) -> Result<Option<Uuid>> {
    let id = sqlx::query_scalar(
        "SELECT id FROM validation_run WHERE domain = $1 AND kind = 'full' AND tables = $2 AND finished_at IS NULL
         ORDER BY started_at DESC LIMIT 1",
    )
    .bind(asked.domain)
    .bind(asked.tables)
    .fetch_optional(pool)
    .await?;
    Ok(id)
}

/// Tables that a run is done with, and how far it is with the others.
pub(crate) async fn progress(pool: &PgPool, run: Uuid) -> Result<(Vec<String>, Vec<Reached>)> {
    let rows = sqlx::query(
        "SELECT name, rows_compared, up_to, suspects, has_more, finished_at IS NOT NULL AS is_finished
         FROM validation_table WHERE run_id = $1",
    )
    .bind(run)
    .fetch_all(pool)
    .await?;
    let (mut finished, mut reached) = (Vec::new(), Vec::new());
    for row in rows {
        let table: String = row.get("name");
        if row.get("is_finished") {
            finished.push(table);
            continue;
        }
        let suspects: Vec<Value> = serde_json::from_value(row.get("suspects")).unwrap_or_default();
        reached.push(Reached {
            table,
            up_to: row
                .get::<Option<Value>, _>("up_to")
                .as_ref()
                .and_then(Key::from_json),
            rows: u64::try_from(row.get::<i64, _>("rows_compared")).unwrap_or_default(),
            estimated_rows: 0,
            suspects: suspects.iter().filter_map(Key::from_json).collect(),
            more: row.get("has_more"),
        });
    }
    Ok((finished, reached))
}

pub(crate) async fn reach(pool: &PgPool, run: Uuid, reached: &Reached) -> Result<()> {
    let suspects: Vec<Value> = reached.suspects.iter().map(Key::to_json).collect();
    sqlx::query(
        "INSERT INTO validation_table (run_id, name, rows_compared, up_to, suspects, has_more)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (run_id, name) DO UPDATE SET rows_compared = excluded.rows_compared, up_to = excluded.up_to,
           suspects = validation_table.suspects || excluded.suspects, has_more = excluded.has_more",
    )
    .bind(run)
    .bind(&reached.table)
    .bind(i64::try_from(reached.rows).unwrap_or(i64::MAX))
    .bind(reached.up_to.as_ref().map(Key::to_json))
    .bind(Value::Array(suspects))
    .bind(reached.more)
    .execute(pool)
    .await?;
    Ok(())
}

/// A table is compared: its differences, and that it is done, at once.
pub(crate) async fn finish_table(pool: &PgPool, run: Uuid, report: &TableReport) -> Result<()> {
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "INSERT INTO validation_table (run_id, name, rows_compared, mismatches, has_more, finished_at)
         VALUES ($1, $2, $3, $4, $5, now())
         ON CONFLICT (run_id, name) DO UPDATE SET rows_compared = excluded.rows_compared, suspects = '[]',
           mismatches = excluded.mismatches, has_more = excluded.has_more, finished_at = excluded.finished_at",
    )
    .bind(run)
    .bind(&report.table)
    .bind(i64::try_from(report.rows_compared).unwrap_or(i64::MAX))
    .bind(i64::try_from(report.differences.len()).unwrap_or(i64::MAX))
    .bind(report.more)
    .execute(&mut *transaction)
    .await?;
    for difference in &report.differences {
        sqlx::query(
            "INSERT INTO validation_difference (run_id, name, key, kind, columns) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
        )
        .bind(run)
        .bind(&difference.table)
        .bind(json!(difference.key))
        .bind(kind(difference))
        .bind(&difference.columns)
        .execute(&mut *transaction)
        .await?;
    }
    Ok(transaction.commit().await?)
}

fn kind(difference: &Difference) -> &'static str {
    match difference.kind {
        Kind::Missing => "missing",
        Kind::Extra => "extra",
        Kind::Changed => "changed",
    }
}

/// Adds the tables up, and writes the outcome; in the caller's transaction, with the alert.
pub(crate) async fn finish(connection: &mut PgConnection, run: Uuid, problem: Option<&str>) -> Result<()> {
    sqlx::query(
        "UPDATE validation_run SET finished_at = now(), problem = told.problem, rows_compared = found.rows_compared,
           mismatches = found.mismatches,
           outcome = CASE WHEN found.mismatches > 0 THEN 'different' WHEN told.problem IS NULL THEN 'equal' ELSE 'undecided' END
         FROM (SELECT coalesce(sum(rows_compared), 0)::bigint AS rows_compared,
             coalesce(sum(mismatches), 0)::bigint AS mismatches, coalesce(bool_or(has_more), false) AS has_more
             FROM validation_table WHERE run_id = $1) found,
           LATERAL (SELECT coalesce($2, CASE WHEN has_more
             THEN 'more rows seemed to differ than are looked into (validation.most_differences)' END) AS problem) told
         WHERE id = $1",
    )
    .bind(run)
    .bind(problem)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn run(connection: &mut PgConnection, id: Uuid) -> Result<Run> {
    let run = sqlx::query("SELECT * FROM validation_run WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(run) = run else {
        return Err(Error::Unknown(format!("there is no validation run {id}")));
    };
    let tables = sqlx::query(
        "SELECT name, rows_compared, mismatches, has_more, finished_at IS NOT NULL AS is_finished
         FROM validation_table WHERE run_id = $1 ORDER BY name",
    )
    .bind(id)
    .fetch_all(connection)
    .await?;
    let table = |row: &sqlx::postgres::PgRow| TableResult {
        table: row.get("name"),
        rows_compared: row.get("rows_compared"),
        mismatches: row.get("mismatches"),
        has_more: row.get("has_more"),
        is_finished: row.get("is_finished"),
    };
    let (rows_compared, mismatches) = (run.get("rows_compared"), run.get("mismatches"));
    Ok(Run {
        id,
        domain: run.get("domain"),
        kind: run.get("kind"),
        asked_by: run.get("asked_by"),
        started_at: run.get("started_at"),
        finished_at: run.get("finished_at"),
        outcome: run.get("outcome"),
        problem: run.get("problem"),
        sample_size: run.get("sample_size"),
        rows_compared,
        mismatches,
        mismatch_rate: rate(mismatches, rows_compared),
        trace_id: run.get("trace_id"),
        tables: tables.iter().map(table).collect(),
    })
}

/// The newest runs of a domain.
pub(crate) async fn runs(pool: &PgPool, domain: &str, limit: i64) -> Result<Vec<Run>> {
    let mut connection = pool.acquire().await?;
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM validation_run WHERE domain = $1 ORDER BY started_at DESC LIMIT $2",
    )
    .bind(domain)
    .bind(limit)
    .fetch_all(&mut *connection)
    .await?;
    let mut runs = Vec::with_capacity(ids.len());
    for id in ids {
        runs.push(self::run(&mut connection, id).await?);
    }
    Ok(runs)
}

pub(crate) async fn differences(pool: &PgPool, run: Uuid) -> Result<Vec<Found>> {
    let rows = sqlx::query(
        "SELECT name, key, kind, columns, repaired_at FROM validation_difference
         WHERE run_id = $1 ORDER BY name, key",
    )
    .bind(run)
    .fetch_all(pool)
    .await?;
    let found = |row: &sqlx::postgres::PgRow| Found {
        table: row.get("name"),
        key: serde_json::from_value(row.get("key")).unwrap_or_default(),
        kind: row.get("kind"),
        columns: row.get("columns"),
        repaired_at: row.get("repaired_at"),
    };
    Ok(rows.iter().map(found).collect())
}

/// These are alike now.
pub(crate) async fn repaired(
    connection: &mut PgConnection,
    run: Uuid,
    table: &str,
    keys: &[Vec<String>],
) -> Result<()> {
    let keys: Vec<Value> = keys.iter().map(|key| json!(key)).collect();
    sqlx::query(
        "UPDATE validation_difference SET repaired_at = now() WHERE run_id = $1 AND name = $2 AND key = ANY ($3)",
    )
    .bind(run)
    .bind(table)
    .bind(keys)
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes runs that nobody asks about any more.
pub(crate) async fn prune(pool: &PgPool) -> Result<u64> {
    let pruned = sqlx::query(
        "DELETE FROM validation_run WHERE finished_at < now() - CASE outcome
           WHEN 'equal' THEN interval '7 days' ELSE interval '180 days' END",
    )
    .execute(pool)
    .await?;
    Ok(pruned.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn a_rate_is_exact_text() {
        assert_eq!(rate(0, 0), "0.000000");
        assert_eq!(rate(5, 1000), "0.005000");
        assert_eq!(rate(3, 2), "1.500000");
    }
}
