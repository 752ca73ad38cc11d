//! Adding, finding and removing cards.

use banyan_fail_points::fail_points;
use sqlx::PgPool;
use time::OffsetDateTime;

use crate::domain::customer::{Customer, PaymentMethod};
pub use crate::storage::method::Detached;
use crate::storage::method::{self, NewMethod};
use crate::stripe::{self, IdempotencyKey, StripeError};
use crate::use_cases::Env;
use crate::use_cases::customers::{CustomerError, customer_of};

/// Why a card was not added.
#[derive(Debug, thiserror::Error)]
pub enum MethodError {
    /// The bank, or Stripe for it, said no.
    #[error("declined")]
    Declined {
        /// Stripe's code.
        code: String,
        /// What the user may be told.
        message: String,
    },
    /// It is nothing that can be attached.
    #[error("not usable: {0}")]
    NotUsable(&'static str),
    /// Stripe did not say.
    #[error(transparent)]
    Stripe(StripeError),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<StripeError> for MethodError {
    fn from(error: StripeError) -> Self {
        match error {
            StripeError::Declined(decline) => Self::Declined {
                code: decline.answer.code.unwrap_or_else(|| "card_declined".to_owned()),
                message: decline
                    .message
                    .unwrap_or_else(|| "Your card was declined.".to_owned()),
            },
            StripeError::Refused(_) => Self::NotUsable("is not a payment method"),
            error => Self::Stripe(error),
        }
    }
}

impl From<CustomerError> for MethodError {
    fn from(error: CustomerError) -> Self {
        match error {
            CustomerError::Stripe(error) => Self::Stripe(error),
            CustomerError::Database(error) => Self::Database(error),
        }
    }
}

/// Attaches a card to the user; the first one becomes the default.
///
/// # Errors
/// [`MethodError`].
pub async fn add(env: &Env, user_id: i64, stripe_id: &str) -> Result<PaymentMethod, MethodError> {
    let customer = customer_of(env, user_id).await?;
    let found = env
        .stripe
        .retrieve_payment_method(stripe_id, env.deadline())
        .await?;
    attach(env, &customer, &found.id).await
}

/// The customer's method with this Stripe id or for the same card, else the card newly attached.
///
/// # Errors
/// [`MethodError`].
pub async fn find_or_add(
    env: &Env,
    customer: &Customer,
    stripe_id: &str,
) -> Result<PaymentMethod, MethodError> {
    let mut connection = env.pool.acquire().await?;
    if let Some(method) = method::by_stripe_id(&mut connection, customer.id, stripe_id).await? {
        return Ok(method);
    }
    drop(connection);
    let found = env
        .stripe
        .retrieve_payment_method(stripe_id, env.deadline())
        .await?;
    let card = card(&found)?;
    if card.fingerprint.is_some() {
        let mut connection = env.pool.acquire().await?;
        if let Some(method) = method::same_card(&mut connection, customer.id, &card).await? {
            return Ok(method);
        }
    }
    attach(env, customer, &found.id).await
}

/// A user's cards, newest first.
///
/// # Errors
/// The database's.
pub async fn list(
    pool: &PgPool,
    user_id: i64,
    after: Option<(OffsetDateTime, i64)>,
    limit: i64,
) -> Result<Vec<PaymentMethod>, sqlx::Error> {
    method::of_user(&mut *pool.acquire().await?, user_id, after, limit).await
}

/// Detaches a card: here first, so that it is never charged again, then at Stripe.
///
/// # Errors
/// The database's.
pub async fn remove(env: &Env, user_id: i64, method_id: i64) -> Result<Detached, sqlx::Error> {
    let mut transaction = env.pool.begin().await?;
    env.ownership.hold(&mut transaction, user_id).await?;
    let detached = method::detach(&mut transaction, user_id, method_id, env.now()).await?;
    transaction.commit().await?;
    if let Detached::Done(stripe_id) = &detached
        && let Err(error) = env
            .stripe
            .detach_payment_method(stripe_id, &fresh_key(env), env.deadline())
            .await
    {
        tracing::warn!(payment_method_id = method_id, %error, "card still attached at Stripe");
    }
    Ok(detached)
}

async fn attach(env: &Env, customer: &Customer, stripe_id: &str) -> Result<PaymentMethod, MethodError> {
    let attached = env
        .stripe
        .attach_payment_method(
            stripe_id,
            &customer.stripe_customer_id,
            &fresh_key(env),
            env.deadline(),
        )
        .await?;
    let mut transaction = env.pool.begin().await?;
    env.ownership.hold(&mut transaction, customer.user_id).await?;
    let kept = method::keep(&mut transaction, customer.id, &card(&attached)?, env.now()).await?;
    fail_points!("method.attach.commit", transaction.commit().await)?;
    kept.ok_or(MethodError::NotUsable("is not a payment method"))
}

fn card(method: &stripe::PaymentMethod) -> Result<NewMethod<'_>, MethodError> {
    let card = method
        .card
        .as_ref()
        .ok_or(MethodError::NotUsable("is not a card"))?;
    let out_of_range = |_| MethodError::NotUsable("is not a card");
    Ok(NewMethod {
        stripe_payment_method_id: &method.id,
        brand: &card.brand,
        last4: &card.last4,
        exp_month: card.exp_month.into(),
        exp_year: card.exp_year.try_into().map_err(out_of_range)?,
        fingerprint: (!card.fingerprint.is_empty()).then_some(&card.fingerprint),
    })
}

/// Attaching what was detached is another call, so each has a key of its own.
fn fresh_key(env: &Env) -> IdempotencyKey {
    IdempotencyKey::unique((env.new_id)())
}
