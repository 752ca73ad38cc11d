//! What is wanted of a domain's sync, and what the process that sees to it says.

use banyan_table_sync::changes::Ways;
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, PgPool, Row as _};
use time::OffsetDateTime;

use super::actions;
use crate::error::Result;

/// The order for a domain.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Order {
    /// `running` or `paused`.
    pub(crate) wanted: String,
    /// `forward`, `back` or `both`.
    pub(crate) ways: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) ordered_at: OffsetDateTime,
    pub(crate) ordered_by: String,
    pub(crate) report: Option<Report>,
}

/// What the process that sees to it said last.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) runner: String,
    /// `running`, `paused` or `failed`.
    pub(crate) state: String,
    pub(crate) problem: Option<String>,
    pub(crate) forward_lag_ms: Option<i64>,
    pub(crate) back_lag_ms: Option<i64>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) reported_at: OffsetDateTime,
}

impl Order {
    pub(crate) fn is_running(&self) -> bool {
        self.wanted == "running"
    }

    pub(crate) fn ways(&self) -> Ways {
        match self.ways.as_str() {
            "forward" => Ways::Forward,
            "back" => Ways::Back,
            _ => Ways::Both,
        }
    }
}

/// As it is stored.
pub(crate) fn name_of(ways: Ways) -> &'static str {
    match ways {
        Ways::Forward => "forward",
        Ways::Back => "back",
        Ways::Both => "both",
    }
}

pub(crate) async fn order(pool: &PgPool, domain: &str) -> Result<Option<Order>> {
    let row = sqlx::query(
        "SELECT wanted, ways, ordered_at, ordered_by, runner, state, problem, forward_lag_ms, back_lag_ms, reported_at
         FROM domain_sync WHERE domain = $1",
    )
    .bind(domain)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Order {
        wanted: row.get("wanted"),
        ways: row.get("ways"),
        ordered_at: row.get("ordered_at"),
        ordered_by: row.get("ordered_by"),
        report: row.get::<Option<String>, _>("runner").map(|runner| Report {
            runner,
            state: row.get("state"),
            problem: row.get("problem"),
            forward_lag_ms: row.get("forward_lag_ms"),
            back_lag_ms: row.get("back_lag_ms"),
            reported_at: row.get("reported_at"),
        }),
    }))
}

/// Writes the order down, with who gave it.
pub(crate) async fn start(pool: &PgPool, domain: &str, ways: Ways, actor: &str) -> Result<()> {
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "INSERT INTO domain_sync (domain, wanted, ways, ordered_by) VALUES ($1, 'running', $2, $3)
         ON CONFLICT (domain) DO UPDATE SET wanted = excluded.wanted, ways = excluded.ways,
           ordered_by = excluded.ordered_by, ordered_at = now()",
    )
    .bind(domain)
    .bind(name_of(ways))
    .bind(actor)
    .execute(&mut *transaction)
    .await?;
    let detail = json!({ "ways": name_of(ways) });
    actions::record(&mut transaction, actor, "sync.start", domain, &detail).await?;
    Ok(transaction.commit().await?)
}

/// False where there is no order.
pub(crate) async fn want(pool: &PgPool, domain: &str, wanted: &str, actor: &str) -> Result<bool> {
    let mut transaction = pool.begin().await?;
    let found = sqlx::query(
        "UPDATE domain_sync SET wanted = $2, ordered_by = $3, ordered_at = now() WHERE domain = $1 RETURNING 1",
    )
    .bind(domain)
    .bind(wanted)
    .bind(actor)
    .fetch_optional(&mut *transaction)
    .await?;
    if found.is_none() {
        return Ok(false);
    }
    let action = if wanted == "paused" {
        "sync.pause"
    } else {
        "sync.resume"
    };
    actions::record(&mut transaction, actor, action, domain, &json!({})).await?;
    transaction.commit().await?;
    Ok(true)
}

/// After the streams are gone.
pub(crate) async fn forget(connection: &mut PgConnection, domain: &str) -> Result<()> {
    sqlx::query("DELETE FROM domain_sync WHERE domain = $1")
        .bind(domain)
        .execute(connection)
        .await?;
    Ok(())
}

/// What the process that sees to the order has to say.
pub(crate) struct Said<'a> {
    pub(crate) runner: &'a str,
    pub(crate) state: &'a str,
    pub(crate) problem: Option<&'a str>,
    pub(crate) forward_lag_ms: Option<i64>,
    pub(crate) back_lag_ms: Option<i64>,
}

pub(crate) async fn report(pool: &PgPool, domain: &str, said: Said<'_>) -> Result<()> {
    sqlx::query(
        "UPDATE domain_sync SET runner = $2, state = $3, problem = $4, forward_lag_ms = $5, back_lag_ms = $6,
           reported_at = now() WHERE domain = $1",
    )
    .bind(domain)
    .bind(said.runner)
    .bind(said.state)
    .bind(said.problem)
    .bind(said.forward_lag_ms)
    .bind(said.back_lag_ms)
    .execute(pool)
    .await?;
    Ok(())
}
