//! Versions of templates.

use sqlx::{FromRow, PgConnection, PgPool};

use super::StoreError;
use crate::templates::Source;

#[derive(FromRow)]
struct Row {
    name: String,
    locale: String,
    version: i32,
    subject: String,
    body_html: String,
    body_text: String,
    body_sms: String,
}

/// The active version of every template, with the generation they belong to.
///
/// # Errors
/// The database's.
pub async fn active(pool: &PgPool) -> Result<(i64, Vec<(Source, i32)>), StoreError> {
    // The generation first: a change in between makes the templates newer than the generation says, and they are read again.
    let generation = sqlx::query_scalar("SELECT generation FROM template_generation")
        .fetch_one(pool)
        .await?;
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT name, locale, version, subject, body_html, body_text, body_sms FROM template WHERE active",
    )
    .fetch_all(pool)
    .await?;
    let sources = rows
        .into_iter()
        .map(|row| {
            let source = Source {
                name: row.name,
                locale: row.locale,
                subject: row.subject,
                html: row.body_html,
                text: row.body_text,
                sms: row.body_sms,
            };
            (source, row.version)
        })
        .collect();
    Ok((generation, sources))
}

/// Where the texts of a new version come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The files the service was built with.
    Release,
    /// Somebody who changed it at run time.
    Operator,
}

impl Origin {
    const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Operator => "operator",
        }
    }
}

/// A version just added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Added {
    /// Its number.
    pub version: i32,
    /// It is the one in use now.
    pub active: bool,
}

/// Adds a version, unless these very texts came from that origin before; `None` then. A version of a release does not displace
/// what an operator put in use. For the caller's transaction, which must hold [`lock`].
///
/// # Errors
/// The database's.
pub async fn add(
    connection: &mut PgConnection,
    source: &Source,
    origin: Origin,
) -> Result<Option<Added>, sqlx::Error> {
    let known: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM template WHERE name = $1 AND locale = $2 AND subject = $3 AND body_html = $4
           AND body_text = $5 AND body_sms = $6 AND CASE WHEN $7 = 'release' THEN origin = 'release' ELSE active END)",
    )
    .bind(&source.name)
    .bind(&source.locale)
    .bind(&source.subject)
    .bind(&source.html)
    .bind(&source.text)
    .bind(&source.sms)
    .bind(origin.name())
    .fetch_one(&mut *connection)
    .await?;
    if known {
        return Ok(None);
    }
    let active: bool = origin == Origin::Operator
        || sqlx::query_scalar(
            "SELECT NOT EXISTS (SELECT FROM template WHERE name = $1 AND locale = $2 AND active AND origin = 'operator')",
        )
        .bind(&source.name)
        .bind(&source.locale)
        .fetch_one(&mut *connection)
        .await?;
    if active {
        sqlx::query("UPDATE template SET active = false WHERE name = $1 AND locale = $2 AND active")
            .bind(&source.name)
            .bind(&source.locale)
            .execute(&mut *connection)
            .await?;
    }
    let version = sqlx::query_scalar(
        "INSERT INTO template (name, locale, version, subject, body_html, body_text, body_sms, origin, active)
         SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6, $7, $8
         FROM template WHERE name = $1 AND locale = $2 AND origin <> 'legacy'
         RETURNING version",
    )
    .bind(&source.name)
    .bind(&source.locale)
    .bind(&source.subject)
    .bind(&source.html)
    .bind(&source.text)
    .bind(&source.sms)
    .bind(origin.name())
    .bind(active)
    .fetch_one(connection)
    .await?;
    Ok(Some(Added { version, active }))
}

/// Lets one change of templates in at a time, until the caller's transaction ends.
///
/// # Errors
/// The database's.
pub async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('notifications:templates', 0))")
        .execute(connection)
        .await?;
    Ok(())
}
