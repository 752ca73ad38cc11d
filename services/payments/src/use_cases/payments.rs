//! Reading payments, each with its currency.

use time::OffsetDateTime;

use crate::domain::money::Currency;
use crate::domain::payment::Payment;
use crate::storage::payment;
use crate::use_cases::Env;

/// A user's own payment.
///
/// # Errors
/// The database's.
pub async fn get(env: &Env, user_id: i64, id: i64) -> Result<Option<(Payment, Currency)>, sqlx::Error> {
    let mut connection = env.pool.acquire().await?;
    let found = payment::get_own(&mut connection, user_id, id).await?;
    drop(connection);
    match found {
        Some(payment) => {
            let currency = env.currencies.of(payment.currency).await?;
            Ok(Some((payment, currency)))
        }
        None => Ok(None),
    }
}

/// A user's payments, newest first, after a position of that order.
///
/// # Errors
/// The database's.
pub async fn list(
    env: &Env,
    user_id: i64,
    after: Option<(OffsetDateTime, i64)>,
    limit: i64,
) -> Result<Vec<(Payment, Currency)>, sqlx::Error> {
    let mut connection = env.pool.acquire().await?;
    let rows = payment::of_user(&mut connection, user_id, after, limit).await?;
    drop(connection);
    let mut payments = Vec::with_capacity(rows.len());
    for payment in rows {
        let currency = env.currencies.of(payment.currency).await?;
        payments.push((payment, currency));
    }
    Ok(payments)
}
