//! Decisions, as cutover writes them into either database.

use sqlx::PgConnection;

/// Whom the new side acts for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Decision {
    /// Grows with each decision for the domain.
    pub generation: i64,
    /// Users at a position up to this one.
    pub basis_points: u16,
    /// And these, wherever they are.
    pub new_users: Vec<i64>,
    /// And never these.
    pub legacy_users: Vec<i64>,
}

/// Writes a decision into the database of a side, once every transaction that holds the last one has ended. Done already, it does nothing.
///
/// Those who came later wait behind it, so a `lock_timeout` bounds for how long.
///
/// # Errors
/// The database's: 55000 where there is a later decision, 55P03 where a transaction was in the way for too long.
pub async fn decide(
    connection: &mut PgConnection,
    domain: &str,
    decision: &Decision,
) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT ownership_decide($1, $2, $3, $4, $5)")
        .bind(domain)
        .bind(decision.generation)
        .bind(i32::from(decision.basis_points))
        .bind(&decision.new_users)
        .bind(&decision.legacy_users)
        .execute(connection)
        .await?;
    Ok(())
}

/// Lets the side of this database act for those that it gained by the decision, since all that the other side wrote before has come over;
/// false where the decision is not known here.
///
/// # Errors
/// The database's.
pub async fn settle(
    connection: &mut PgConnection,
    domain: &str,
    generation: i64,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT ownership_settle($1, $2)")
        .bind(domain)
        .bind(generation)
        .fetch_one(connection)
        .await
}
