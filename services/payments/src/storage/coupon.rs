//! Coupons.

use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};

use super::unknown;
use crate::domain::{
    coupon::{Coupon, Duration},
    invoice::Discount,
    money::{CurrencyCode, Minor},
};

macro_rules! coupon_columns {
    () => {
        "id, percent_off, amount_off_minor, currency, duration, max_redemptions, times_redeemed, valid_until, is_active"
    };
}

impl FromRow<'_, PgRow> for Coupon {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let percent: Option<i16> = row.try_get("percent_off")?;
        let amount: Option<i64> = row.try_get("amount_off_minor")?;
        let currency: Option<&str> = row.try_get("currency")?;
        Ok(Self {
            id: row.try_get("id")?,
            discount: percent
                .map(Discount::Percent)
                .or(amount.map(|amount| Discount::Amount(Minor(amount))))
                .ok_or_else(|| unknown("coupon.percent_off"))?,
            currency: currency
                .map(|code| CurrencyCode::new(code).ok_or_else(|| unknown("coupon.currency")))
                .transpose()?,
            duration: Duration::from_name(row.try_get("duration")?)
                .ok_or_else(|| unknown("coupon.duration"))?,
            max_redemptions: row.try_get("max_redemptions")?,
            times_redeemed: row.try_get("times_redeemed")?,
            valid_until: row.try_get("valid_until")?,
            is_active: row.try_get("is_active")?,
        })
    }
}

/// A coupon.
///
/// # Errors
/// The database's.
pub async fn get(connection: &mut PgConnection, id: i64) -> Result<Option<Coupon>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        coupon_columns!(),
        " FROM coupon WHERE id = $1"
    ))
    .bind(id)
    .fetch_optional(connection)
    .await
}

/// The coupon with this code, locked to the end of the caller's transaction, so that the number of its uses stands still.
///
/// Lock it after subscriptions, as whoever counts a use does.
///
/// # Errors
/// The database's.
pub async fn lock(connection: &mut PgConnection, code: &str) -> Result<Option<Coupon>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        coupon_columns!(),
        " FROM coupon WHERE code = $1 FOR NO KEY UPDATE"
    ))
    .bind(code)
    .fetch_optional(connection)
    .await
}

/// Whether the user has used the coupon. A subscription that never began used none.
///
/// # Errors
/// The database's.
pub async fn is_used_by(
    connection: &mut PgConnection,
    coupon_id: i64,
    user_id: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM subscription
           WHERE coupon_id = $1 AND user_id = $2 AND status <> 'incomplete_expired')",
    )
    .bind(coupon_id)
    .bind(user_id)
    .fetch_one(connection)
    .await
}

/// Counts a use.
///
/// # Errors
/// The database's.
pub async fn redeem(connection: &mut PgConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE coupon SET times_redeemed = times_redeemed + 1 WHERE id = $1")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}
