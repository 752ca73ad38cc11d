//! What can be subscribed to.

use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

use super::unknown;
use crate::domain::{
    money::{CurrencyCode, Minor},
    period::Interval,
    subscription::Plan,
};

impl FromRow<'_, PgRow> for Plan {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            amount: Minor(row.try_get("amount_minor")?),
            currency: CurrencyCode::new(row.try_get("currency")?).ok_or_else(|| unknown("plan.currency"))?,
            interval: Interval::from_name(row.try_get("interval")?)
                .ok_or_else(|| unknown("plan.interval"))?,
        })
    }
}

/// A plan, also one that nobody can subscribe to any more: those who did are still billed for it.
///
/// # Errors
/// The database's.
pub async fn get(connection: &mut PgConnection, id: i64) -> Result<Option<Plan>, sqlx::Error> {
    sqlx::query_as("SELECT id, name, amount_minor, currency, interval FROM plan WHERE id = $1")
        .bind(id)
        .fetch_optional(connection)
        .await
}

/// A plan that can be subscribed to.
///
/// # Errors
/// The database's.
pub async fn active(connection: &mut PgConnection, id: i64) -> Result<Option<Plan>, sqlx::Error> {
    sqlx::query_as("SELECT id, name, amount_minor, currency, interval FROM plan WHERE id = $1 AND is_active")
        .bind(id)
        .fetch_optional(connection)
        .await
}
