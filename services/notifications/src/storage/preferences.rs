//! What users chose.

use sqlx::{FromRow, PgConnection, PgPool};

use crate::domain::{category::Category, notification::channel_from_name, routing::Choice};

#[derive(FromRow)]
struct Row {
    category: String,
    enabled: bool,
    channel: Option<String>,
    digest: bool,
}

/// The user's choices; a category without a row is not among them.
///
/// # Errors
/// The database's.
pub async fn of_user(pool: &PgPool, user_id: i64) -> Result<Vec<(Category, Choice)>, sqlx::Error> {
    let rows: Vec<Row> =
        sqlx::query_as("SELECT category, enabled, channel, digest FROM preference WHERE user_id = $1")
            .bind(user_id)
            .fetch_all(pool)
            .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let channel = row.channel.as_deref().and_then(channel_from_name);
            Some((
                Category::from_name(&row.category)?,
                Choice {
                    enabled: row.enabled,
                    channel,
                    digest: row.digest,
                },
            ))
        })
        .collect())
}

/// Sets the user's choice for a category, in the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn set(
    connection: &mut PgConnection,
    user_id: i64,
    category: Category,
    choice: &Choice,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO preference (user_id, category, enabled, channel, digest) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (user_id, category) DO UPDATE SET enabled = excluded.enabled, channel = excluded.channel,
           digest = excluded.digest, updated_at = now()",
    )
    .bind(user_id)
    .bind(category.name())
    .bind(choice.enabled)
    .bind(choice.channel.map(banyan_events::payloads::Channel::name))
    .bind(choice.digest)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets the user's choices for all categories but these, in the caller's transaction. Those that stay keep their ids, by which a sync
/// knows them.
///
/// # Errors
/// The database's.
pub async fn keep_only(
    connection: &mut PgConnection,
    user_id: i64,
    categories: impl IntoIterator<Item = Category>,
) -> Result<(), sqlx::Error> {
    let names: Vec<&str> = categories.into_iter().map(Category::name).collect();
    sqlx::query("DELETE FROM preference WHERE user_id = $1 AND category <> ALL ($2)")
        .bind(user_id)
        .bind(names)
        .execute(connection)
        .await?;
    Ok(())
}
