//! Who changed what.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// Notes an action, in the transaction of what it changes.
///
/// # Errors
/// The database's.
pub(crate) async fn record(
    connection: &mut PgConnection,
    actor: &str,
    action: &str,
    domain: &str,
    detail: &Value,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO operator_action (id, actor, action, domain, detail) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(Uuid::now_v7())
    .bind(actor)
    .bind(action)
    .bind(domain)
    .bind(detail)
    .execute(connection)
    .await?;
    tracing::info!(actor, action, domain, "operator's action");
    Ok(())
}
