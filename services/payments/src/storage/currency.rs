//! Currencies: few and seldom changed, so they are loaded whole and kept by the caller.

use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

use super::unknown;
use crate::domain::money::{Currency, CurrencyCode};

/// A currency, and whether payments can be made in it now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KnownCurrency {
    /// The currency.
    pub currency: Currency,
    /// False: what was paid in it is still shown, nothing more is charged.
    pub is_active: bool,
}

impl FromRow<'_, PgRow> for KnownCurrency {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let exponent = u8::try_from(row.try_get::<i16, _>("exponent")?).ok();
        let currency = CurrencyCode::new(row.try_get("code")?)
            .zip(exponent)
            .and_then(|(code, exponent)| Currency::new(code, exponent))
            .ok_or_else(|| unknown("currency"))?;
        Ok(Self {
            currency,
            is_active: row.try_get("is_active")?,
        })
    }
}

/// Every currency there is, by code.
///
/// # Errors
/// The database's.
pub async fn all(connection: &mut PgConnection) -> Result<Vec<KnownCurrency>, sqlx::Error> {
    sqlx::query_as("SELECT code, exponent, is_active FROM currency ORDER BY code")
        .fetch_all(connection)
        .await
}
