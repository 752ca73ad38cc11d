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
        "id, percent_off, amount_off_minor, currency, duration, max_redemptions, valid_until, is_active"
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

/// The coupon with this code, locked to the end of the caller's transaction: whoever else wants to use it waits.
///
/// Lock it after subscriptions.
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

/// Whether it is used up by all users together: a use is a subscription whose first invoice was paid, on this side or the
/// monolith's. Counted rather than kept as a number, which both sides would write at once.
///
/// # Errors
/// The database's.
pub async fn is_used_up(connection: &mut PgConnection, coupon: &Coupon) -> Result<bool, sqlx::Error> {
    let Some(most) = coupon.max_redemptions else {
        return Ok(false);
    };
    let uses: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT FROM subscription
           WHERE coupon_id = $1 AND status NOT IN ('incomplete', 'incomplete_expired') LIMIT $2) AS used",
    )
    .bind(coupon.id)
    .bind(most)
    .fetch_one(connection)
    .await?;
    Ok(uses >= i64::from(most))
}
