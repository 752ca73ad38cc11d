//! Reading and changing what a user wants to be told, and how.

use std::collections::BTreeMap;

use sqlx::PgPool;

use crate::{
    domain::{category::Category, routing::Choice},
    storage::{contacts, preferences},
};

/// The user's choice for every category; one never chosen has the default.
///
/// # Errors
/// The database's.
pub async fn get(pool: &PgPool, user_id: i64) -> Result<BTreeMap<Category, Choice>, sqlx::Error> {
    let mut choices: BTreeMap<Category, Choice> = Category::ALL
        .into_iter()
        .map(|category| (category, Choice::default()))
        .collect();
    choices.extend(preferences::of_user(pool, user_id).await?);
    Ok(choices)
}

/// Why choices were not stored.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The account was erased: nothing more is stored of it.
    #[error("the account was erased")]
    Erased,
    /// The database.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Makes these the user's choices, a category that is not among them goes back to its default, and answers all.
///
/// # Errors
/// [`PutError`].
pub async fn put(
    pool: &PgPool,
    user_id: i64,
    choices: &BTreeMap<Category, Choice>,
) -> Result<BTreeMap<Category, Choice>, PutError> {
    let mut transaction = pool.begin().await?;
    if contacts::lock_and_ask_erased(&mut transaction, user_id).await? {
        return Err(PutError::Erased);
    }
    preferences::keep_only(&mut transaction, user_id, choices.keys().copied()).await?;
    for (category, choice) in choices {
        preferences::set(&mut transaction, user_id, *category, choice).await?;
    }
    transaction.commit().await?;
    Ok(get(pool, user_id).await?)
}
