//! The differences that were found, for operators.

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::domain::{money::CurrencyCode, tie_out::Difference};

/// What storing a run's differences changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stored {
    /// Differences that are new, differ otherwise than before, or are back.
    pub news: u64,
    /// Differences of earlier runs that are gone.
    pub resolved: u64,
}

/// Makes the stored differences of a day those of this run, in the caller's transaction. A run that finds the same again changes nothing.
///
/// # Errors
/// The database's.
pub async fn store(
    connection: &mut PgConnection,
    day: Date,
    run_id: Uuid,
    differences: &[Difference],
    now: OffsetDateTime,
) -> Result<Stored, sqlx::Error> {
    // Two runs of one day at once store one after the other.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('banyan:tie-out:' || $1::text, 0))")
        .bind(day)
        .execute(&mut *connection)
        .await?;
    let kinds: Vec<&str> = differences.iter().map(|one| one.kind.name()).collect();
    let objects: Vec<&str> = differences.iter().map(|one| one.object.as_str()).collect();
    let currencies: Vec<Option<&str>> = differences
        .iter()
        .map(|one| one.currency.as_ref().map(CurrencyCode::as_str))
        .collect();
    let expected: Vec<Option<i64>> = differences.iter().map(|one| one.expected_minor).collect();
    let actual: Vec<Option<i64>> = differences.iter().map(|one| one.actual_minor).collect();
    let stored = sqlx::query(
        "INSERT INTO tie_out_difference AS d (day, run_id, kind, object, currency, expected_minor, actual_minor, found_at)
         SELECT $1, $2, kind, object, currency, expected, actual, $8
         FROM unnest($3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[]) AS f (kind, object, currency, expected, actual)
         ON CONFLICT ON CONSTRAINT tie_out_difference_once DO UPDATE
         SET run_id = excluded.run_id, currency = excluded.currency, expected_minor = excluded.expected_minor,
           actual_minor = excluded.actual_minor, found_at = excluded.found_at, resolved_at = NULL
         WHERE d.resolved_at IS NOT NULL
           OR (d.expected_minor, d.actual_minor) IS DISTINCT FROM (excluded.expected_minor, excluded.actual_minor)",
    )
    .bind(day)
    .bind(run_id)
    .bind(&kinds)
    .bind(&objects)
    .bind(currencies)
    .bind(expected)
    .bind(actual)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    let resolved = sqlx::query(
        "UPDATE tie_out_difference SET resolved_at = $4 WHERE day = $1 AND resolved_at IS NULL
           AND (kind, object) NOT IN (SELECT * FROM unnest($2::text[], $3::text[]))",
    )
    .bind(day)
    .bind(kinds)
    .bind(objects)
    .bind(now)
    .execute(connection)
    .await?;
    Ok(Stored {
        news: stored.rows_affected(),
        resolved: resolved.rows_affected(),
    })
}
