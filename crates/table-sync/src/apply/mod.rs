//! Carrying rows: read by their keys on one side, through the mapping, and written on the other.
//!
//! What is written is what is read *now*, whatever the change was that named the key: a row that is there is written whole, one that is
//! not is deleted. So it may be done again at will, and in any order, and ends right.

mod statements;

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

pub(crate) use self::statements::TablePlan;
use crate::error::{Doing as _, Error, is_of_a_row, is_unique_violation, told};
use crate::key::{Key, records};
use crate::sql;

/// One of the two that a direction has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Read,
    Written,
}

/// Rows on their way: their keys, and what became of them.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) keys: Vec<Key>,
    /// A JSON array of those that are there, as they are to be written.
    json: String,
}

impl TablePlan {
    fn keys_read<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) -> String {
        records(keys, &self.flow.key, |key| &key.from)
    }

    pub(crate) fn keys_written<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) -> String {
        records(keys, &self.flow.key, |key| &key.to)
    }

    /// Above one key and up to another, as a condition; `None` for no border. Rows that the mapping is not about are in no range.
    pub(crate) fn range(&self, side: Side, above: Option<&Key>, up_to: Option<&Key>) -> String {
        let (_, columns, kinds) = self.key_of(side);
        let and_only = match side {
            Side::Read => &self.flow.and_only_read,
            Side::Written => &self.flow.and_only_written,
        };
        let conditions = [(">", above), ("<=", up_to)];
        let conditions = conditions
            .into_iter()
            .filter_map(|(operator, key)| Some(key?.compared(&columns, operator, &kinds)));
        let conditions: Vec<String> = conditions.collect();
        let range = if conditions.is_empty() {
            "true".to_owned()
        } else {
            conditions.join(" AND ")
        };
        range + and_only
    }

    /// The keys of a range in their order, at most so many.
    pub(crate) async fn keys(
        &self,
        connection: &mut PgConnection,
        side: Side,
        above: Option<&Key>,
        up_to: Option<&Key>,
        limit: Option<usize>,
    ) -> Result<Vec<Key>, sqlx::Error> {
        let (table, columns, _) = self.key_of(side);
        let texts = sql::list(columns.iter().map(|column| format!("{column}::text")));
        let limit = limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
        let keys: Vec<Value> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT jsonb_build_array({texts}) FROM {table} WHERE {} ORDER BY {}{limit}",
            self.range(side, above, up_to),
            sql::list(&columns)
        )))
        .fetch_all(connection)
        .await?;
        Ok(keys.iter().filter_map(Key::from_json).collect())
    }

    /// The table with the name of a row, its key's columns of that row, and their types.
    fn key_of(&self, side: Side) -> (String, Vec<String>, Vec<String>) {
        let flow = &self.flow;
        let (table, row, live) = match side {
            Side::Read => (&flow.from, flow.row, &self.from),
            Side::Written => (&flow.to, "t", &self.to),
        };
        let names: Vec<&String> = flow
            .key
            .iter()
            .map(|key| if side == Side::Read { &key.from } else { &key.to })
            .collect();
        let kind = |name: &&String| {
            live.column(name)
                .map_or("text", |column| column.kind.as_str())
                .to_owned()
        };
        (
            format!("{table} {row}"),
            names
                .iter()
                .map(|name| format!("{row}.{}", sql::identifier(name)))
                .collect(),
            names.iter().map(kind).collect(),
        )
    }

    /// Reads what these keys are now.
    pub(crate) async fn read(&self, from: &mut PgConnection, keys: Vec<Key>) -> Result<Rows, sqlx::Error> {
        let json = sqlx::query_scalar(AssertSqlSafe(self.read.clone()))
            .bind(self.keys_read(&keys))
            .fetch_one(from)
            .await?;
        Ok(Rows { keys, json })
    }

    /// Writes them, in the caller's transaction; how many rows changed.
    pub(crate) async fn write(&self, to: &mut PgConnection, rows: &Rows) -> Result<u64, sqlx::Error> {
        let deleted = sqlx::query(AssertSqlSafe(self.delete_absent.clone()))
            .bind(self.keys_written(&rows.keys))
            .bind(&rows.json)
            .execute(&mut *to)
            .await?;
        let written: i64 = sqlx::query_scalar(AssertSqlSafe(self.write.clone()))
            .bind(&rows.json)
            .fetch_one(to)
            .await?;
        Ok(deleted.rows_affected() + written.unsigned_abs())
    }

    /// Writes them where values that may be there once only move from row to row: all are taken out first. Where others are in their way, nothing is written and those are given: they must have changed as well, and
    /// have to be read and written together with these.
    pub(crate) async fn exchange(&self, to: &mut PgConnection, rows: &Rows) -> Result<Vec<Key>, sqlx::Error> {
        let mut transaction = to.begin().await?;
        let taken: String = sqlx::query_scalar(AssertSqlSafe(self.take_out.clone()))
            .bind(self.keys_written(&rows.keys))
            .fetch_one(&mut *transaction)
            .await?;
        let others = self.in_the_way(&mut transaction, &rows.json).await?;
        if !others.is_empty() {
            transaction.rollback().await?;
            return Ok(others);
        }
        sqlx::query(AssertSqlSafe(self.put_back.clone()))
            .bind(&rows.json)
            .bind(taken)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(AssertSqlSafe(self.write.clone()))
            .bind(&rows.json)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(others)
    }

    /// These keys, those in the way of their rows, those in the way of these, and so on.
    pub(crate) async fn tangled(
        &self,
        from: &mut PgConnection,
        to: &mut PgConnection,
        keys: Vec<Key>,
    ) -> Result<Vec<Key>, sqlx::Error> {
        let mut known: BTreeSet<Key> = keys.iter().cloned().collect();
        let mut next = keys;
        while !next.is_empty() {
            let rows = self.read(from, next).await?;
            next = self.in_the_way(to, &rows.json).await?;
            next.retain(|key| known.insert(key.clone()));
        }
        Ok(known.into_iter().collect())
    }

    async fn in_the_way(&self, to: &mut PgConnection, rows: &str) -> Result<Vec<Key>, sqlx::Error> {
        let mut keys = Vec::new();
        for statement in &self.in_the_way {
            let found: Vec<Value> = sqlx::query_scalar(AssertSqlSafe(statement.clone()))
                .bind(rows)
                .fetch_all(&mut *to)
                .await?;
            keys.extend(found.iter().filter_map(Key::from_json));
        }
        Ok(keys)
    }

    /// Which of these would change nothing if they were carried.
    pub(crate) async fn same(
        &self,
        from: &mut PgConnection,
        to: &mut PgConnection,
        keys: &[Key],
    ) -> Result<Vec<Key>, sqlx::Error> {
        let rows = self.read(from, keys.to_vec()).await?;
        let same: Vec<Value> = sqlx::query_scalar(AssertSqlSafe(self.same.clone()))
            .bind(self.keys_written(keys))
            .bind(&rows.json)
            .fetch_all(to)
            .await?;
        Ok(same.iter().filter_map(Key::from_json).collect())
    }

    /// A row as it would be written; `None` where there is none.
    pub(crate) async fn row_there(
        &self,
        from: &mut PgConnection,
        key: &Key,
    ) -> Result<Option<Value>, sqlx::Error> {
        let rows = self.read(from, vec![key.clone()]).await?;
        let rows: Value = serde_json::from_str(&rows.json).unwrap_or_default();
        Ok(rows.get(0).cloned())
    }

    /// The keys of the parent's rows that these point to, by pairs of a column here and one there.
    pub(crate) async fn pointed_to(
        &self,
        from: &mut PgConnection,
        keys: impl IntoIterator<Item = &Key>,
        parent: &Self,
        pairs: &[(String, String)],
    ) -> Result<Vec<Key>, sqlx::Error> {
        let (child, columns, kinds) = self.key_of(Side::Read);
        let and = |conditions: Vec<String>| conditions.join(" AND ");
        let names = self.flow.key.iter().map(|key| sql::identifier(&key.from));
        let fields = names
            .clone()
            .zip(kinds)
            .map(|(name, kind)| format!("{name} {kind}"));
        let of_key = columns
            .iter()
            .zip(names)
            .map(|(column, name)| format!("{column} = k.{name}"));
        let row = self.flow.row;
        let of_parent = pairs
            .iter()
            .map(|(here, there)| format!("{row}.{} = p.{}", sql::identifier(here), sql::identifier(there)));
        let texts = parent
            .flow
            .key
            .iter()
            .map(|key| format!("p.{}::text", sql::identifier(&key.from)));
        let found: Vec<Value> = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT DISTINCT jsonb_build_array({}) FROM {child}
             JOIN json_to_recordset($1::json) AS k({}) ON {} JOIN {} p ON {}",
            sql::list(texts),
            sql::list(fields),
            and(of_key.collect()),
            parent.flow.from,
            and(of_parent.collect()),
        )))
        .bind(self.keys_read(keys))
        .fetch_all(from)
        .await?;
        Ok(found.iter().filter_map(Key::from_json).collect())
    }

    /// Locks those rows that are there to the end of the caller's transaction.
    pub(crate) async fn lock(&self, to: &mut PgConnection, keys: &[Key]) -> Result<(), sqlx::Error> {
        sqlx::query(AssertSqlSafe(self.lock.clone()))
            .bind(self.keys_written(keys))
            .execute(to)
            .await?;
        Ok(())
    }
}

/// One row by itself: `Err` within `Ok` says why it cannot be read through the mapping, or why the database does not take it.
pub(crate) async fn carry_one(
    plan: &TablePlan,
    from: &mut PgConnection,
    to: &mut PgConnection,
    key: &Key,
) -> Result<Result<u64, String>, Error> {
    let done = async {
        let rows = plan.read(from, vec![key.clone()]).await?;
        let mut transaction = to.begin().await?;
        match plan.write(&mut transaction, &rows).await {
            Ok(count) => transaction.commit().await.map(|()| count),
            Err(error) if is_unique_violation(&error) => {
                transaction.rollback().await?;
                let mut keys = rows.keys;
                loop {
                    keys = plan.tangled(from, to, keys).await?;
                    let rows = plan.read(from, keys.clone()).await?;
                    let others = plan.exchange(to, &rows).await?;
                    if others.is_empty() {
                        return Ok(keys.len() as u64);
                    }
                    keys.extend(others);
                }
            }
            Err(error) => transaction.rollback().await.and(Err(error)),
        }
    };
    match done.await {
        Ok(count) => Ok(Ok(count)),
        Err(error) if is_of_a_row(&error) => Ok(Err(told(&error))),
        Err(error) => Err(error).doing(|| format!("carrying {key} of table {}", plan.flow.table)),
    }
}
