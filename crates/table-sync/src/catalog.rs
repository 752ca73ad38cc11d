//! What a database says of its tables.

use sqlx::{PgConnection, Row as _};

use crate::error::{Doing as _, Error};
use crate::sql;

/// A table as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct LiveTable {
    pub(crate) columns: Vec<LiveColumn>,
    pub(crate) primary_key: Vec<String>,
    pub(crate) unique: Vec<Unique>,
    /// `d`efault, `n`othing, `f`ull or `i`ndex.
    pub(crate) replica_identity: char,
    /// What the planner believes.
    pub(crate) estimated_rows: i64,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LiveColumn {
    /// A column that is dropped and added again has another.
    pub(crate) number: i16,
    pub(crate) name: String,
    /// With its modifier: `numeric(14,3)`.
    pub(crate) kind: String,
    pub(crate) not_null: bool,
    /// By default, identity or expression.
    pub(crate) fills_itself: bool,
    pub(crate) generated: bool,
}

/// What may be there once only.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Unique {
    pub(crate) name: String,
    /// Empty where it is on expressions.
    pub(crate) columns: Vec<String>,
    /// Of a partial index.
    pub(crate) predicate: Option<String>,
    pub(crate) nulls_equal: bool,
}

const TABLE: &str = "
    SELECT c.relreplident::text AS replica_identity, greatest(c.reltuples, 0)::bigint AS rows,
      coalesce((SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
        WHERE i.indrelid = c.oid AND i.indisprimary), '{}') AS primary_key
    FROM pg_class c WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p')";

const COLUMNS: &str = "
    SELECT a.attnum AS number, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS kind, a.attnotnull AS not_null,
      a.atthasdef OR a.attidentity <> '' AS fills_itself, a.attgenerated <> '' AS generated
    FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum";

const UNIQUE: &str = "
    SELECT i.indexrelid::regclass::text AS name, pg_get_expr(i.indpred, i.indrelid) AS predicate,
      CASE WHEN 0 = ANY (i.indkey) THEN '{}' ELSE (SELECT array_agg(a.attname::text ORDER BY k.place)
        FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
        WHERE k.place <= i.indnkeyatts) END AS columns,
      coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_equal
    FROM pg_index i WHERE i.indrelid = to_regclass($1) AND i.indisunique AND NOT i.indisprimary AND i.indisvalid
    ORDER BY 1";

/// The table as it is; `None` where there is none of that name.
pub(crate) async fn table(connection: &mut PgConnection, name: &str) -> Result<Option<LiveTable>, Error> {
    let doing = || format!("looking at table {name}");
    let quoted = sql::table(name);
    let Some(row) = sqlx::query(TABLE)
        .bind(&quoted)
        .fetch_optional(&mut *connection)
        .await
        .doing(doing)?
    else {
        return Ok(None);
    };
    let columns = sqlx::query(COLUMNS)
        .bind(&quoted)
        .fetch_all(&mut *connection)
        .await
        .doing(doing)?;
    let unique = sqlx::query(UNIQUE)
        .bind(&quoted)
        .fetch_all(&mut *connection)
        .await
        .doing(doing)?;
    Ok(Some(LiveTable {
        primary_key: row.get("primary_key"),
        replica_identity: row
            .get::<String, _>("replica_identity")
            .chars()
            .next()
            .unwrap_or('d'),
        estimated_rows: row.get("rows"),
        columns: columns
            .iter()
            .map(|row| LiveColumn {
                number: row.get("number"),
                name: row.get("name"),
                kind: row.get("kind"),
                not_null: row.get("not_null"),
                fills_itself: row.get("fills_itself"),
                generated: row.get("generated"),
            })
            .collect(),
        unique: unique
            .iter()
            .map(|row| Unique {
                name: row.get("name"),
                columns: row.get("columns"),
                predicate: row.get("predicate"),
                nulls_equal: row.get("nulls_equal"),
            })
            .collect(),
    }))
}

/// Whether the changes of a table go out by a publication.
pub(crate) async fn is_published(
    connection: &mut PgConnection,
    name: &str,
    publication: &str,
) -> Result<bool, Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
         WHERE p.pubname = $2 AND r.prrelid = to_regclass($1))",
    )
    .bind(sql::table(name))
    .bind(publication)
    .fetch_one(connection)
    .await
    .doing(|| format!("looking at publication {publication}"))
}

impl LiveTable {
    pub(crate) fn column(&self, name: &str) -> Option<&LiveColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl LiveTable {
    /// Its columns, by name. Where a column's text has changed its values may have, and no change of a row tells.
    pub(crate) fn as_json(&self) -> serde_json::Value {
        let text = |column: &LiveColumn| format!("{} {}", column.number, column.kind);
        let column = |column: &LiveColumn| (column.name.clone(), serde_json::Value::String(text(column)));
        serde_json::Value::Object(self.columns.iter().map(column).collect())
    }
}
