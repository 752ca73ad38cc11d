//! Users as Stripe's customers.

use crate::domain::customer::Customer;
use crate::storage;
use crate::stripe::StripeError;
use crate::use_cases::Env;

/// Why a user has no customer.
#[derive(Debug, thiserror::Error)]
pub enum CustomerError {
    /// Stripe did not make one.
    #[error(transparent)]
    Stripe(#[from] StripeError),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The user's customer, made at Stripe on first use.
///
/// # Errors
/// [`CustomerError`].
pub async fn customer_of(env: &Env, user_id: i64) -> Result<Customer, CustomerError> {
    let mut connection = env.pool.acquire().await?;
    if let Some(customer) = storage::customer::of_user(&mut connection, user_id).await? {
        return Ok(customer);
    }
    // No connection waits for Stripe.
    drop(connection);
    let made = env.stripe.create_customer(user_id, env.deadline()).await?;
    let mut transaction = env.pool.begin().await?;
    env.ownership.hold(&mut transaction, user_id).await?;
    let customer = storage::customer::keep(&mut transaction, user_id, &made.id, env.now()).await?;
    transaction.commit().await?;
    Ok(customer)
}
