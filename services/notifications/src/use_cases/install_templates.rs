//! Putting templates in use: those of the release at start, and changed ones. A broken one is refused.

use sqlx::PgPool;

use crate::{
    storage::templates::{self, Added, Origin},
    templates::{Compiled, RELEASED, Released, Source, TemplateError},
};

/// Why a template was not put in use.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It is broken.
    #[error("refused: {0}")]
    Template(#[from] TemplateError),
    /// The database.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Adds the committed templates that the database does not have yet; how many were added.
///
/// # Errors
/// The first broken template, before anything is written; or the database's.
pub async fn release(pool: &PgPool) -> Result<usize, InstallError> {
    let sources: Vec<Source> = RELEASED.iter().map(Released::source).collect();
    for source in &sources {
        Compiled::checked(source.clone())?;
    }
    let mut transaction = pool.begin().await?;
    templates::lock(&mut transaction).await?;
    let mut added = 0;
    for source in &sources {
        if let Some(new) = templates::add(&mut transaction, source, Origin::Release).await? {
            added += 1;
            if !new.active {
                let (template, locale) = (&source.name, &source.locale);
                tracing::warn!(
                    template,
                    locale,
                    version = new.version,
                    "a new version waits: an operator's is in use"
                );
            }
        }
    }
    transaction.commit().await?;
    Ok(added)
}

/// Puts a changed template in use as a new version; `None` when these texts are in use already.
///
/// # Errors
/// What is wrong with the template, naming its line; or the database's.
pub async fn change(pool: &PgPool, source: &Source) -> Result<Option<Added>, InstallError> {
    Compiled::checked(source.clone())?;
    let mut transaction = pool.begin().await?;
    templates::lock(&mut transaction).await?;
    let added = templates::add(&mut transaction, source, Origin::Operator).await?;
    transaction.commit().await?;
    Ok(added)
}
