//! Where chunks begin and end.

use std::time::Instant;

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use super::Limits;
use crate::apply::{Side, TablePlan};
use crate::error::{Doing as _, Error};
use crate::key::{BORN_IN_TARGET, Key};
use crate::sql;

/// Divides a table into chunks and records them; there is one at least, and the last has no end. Reads the key's index, nothing else.
/// Without `copies`, rows that were born on the read side are the only one: they may be from before the stream began. All others came
/// from the written side, and their changes are carried.
pub(crate) async fn plan(
    from: &mut PgConnection,
    to: &mut PgConnection,
    stream: &str,
    plan: &TablePlan,
    limits: Limits,
    copies: bool,
) -> Result<(), Error> {
    let table = &plan.flow.table;
    let first = (!copies).then(|| first_born_there(plan)).flatten();
    let borders = if copies {
        let borders = borders(from, plan, limits).await;
        borders.doing(|| format!("dividing table {table} into chunks"))?
    } else {
        Vec::new()
    };
    let merge: bool = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT EXISTS (SELECT FROM {} t WHERE {})",
        plan.flow.to,
        plan.range(Side::Written, None, None)
    )))
    .fetch_one(&mut *to)
    .await
    .doing(|| format!("looking into table {table}"))?;
    sqlx::query(
        "WITH state AS (INSERT INTO table_sync.stream_table (stream, name, columns, estimated_rows, merge)
           VALUES ($1, $2, $3, $4, $5)),
         border AS (SELECT $8::jsonb AS border, 0 AS place
           UNION ALL SELECT border, place FROM unnest($6::jsonb[]) WITH ORDINALITY AS b (border, place))
         INSERT INTO table_sync.chunk (stream, name, number, above, up_to)
         SELECT $1, $2, place, border, lead(border) OVER (ORDER BY place) FROM border WHERE $7",
    )
    .bind(stream)
    .bind(table)
    .bind(plan.from.as_json())
    .bind(plan.from.estimated_rows)
    .bind(merge)
    .bind(borders)
    .bind(copies || first.is_some())
    .bind(first)
    .execute(to)
    .await
    .doing(|| format!("recording the chunks of table {table}"))?;
    Ok(())
}

/// What comes before the ids that only the target gives; `None` where keys are no such ids.
fn first_born_there(plan: &TablePlan) -> Option<Value> {
    let [key] = plan.flow.key.as_slice() else {
        return None;
    };
    let is_id = plan.from.column(&key.from)?.kind == "bigint";
    is_id.then(|| Key::new([(BORN_IN_TARGET - 1).to_string()]).to_json())
}

/// Each so many-th key, page by page: none of these queries is long either.
async fn borders(
    from: &mut PgConnection,
    plan: &TablePlan,
    limits: Limits,
) -> Result<Vec<Value>, sqlx::Error> {
    const PAGE: usize = 20;
    let flow = &plan.flow;
    let key = flow.key_read();
    let (order, texts) = (
        sql::list(&key),
        sql::list(key.iter().map(|key| format!("{key}::text"))),
    );
    let mut borders: Vec<Value> = Vec::new();
    loop {
        let began = Instant::now();
        let above = borders.last().and_then(Key::from_json);
        let page: Vec<Value> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT border FROM (SELECT jsonb_build_array({texts}) AS border, row_number() OVER (ORDER BY {order}) AS place
               FROM {} {} WHERE {} ORDER BY {order} LIMIT $1 * {PAGE}) keys WHERE place % $1 = 0 ORDER BY place",
            flow.from,
            flow.row,
            plan.range(Side::Read, above.as_ref(), None)
        )))
        .bind(i64::from(limits.chunk_rows.get()))
        .fetch_all(&mut *from)
        .await?;
        let is_whole = page.len() == PAGE;
        borders.extend(page);
        if !is_whole {
            return Ok(borders);
        }
        tokio::time::sleep(limits.pause_after(began.elapsed())).await;
    }
}
