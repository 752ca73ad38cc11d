//! Why something was not done.

/// The same for the command line and the API.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no such thing.
    #[error("{0}")]
    Unknown(String),
    /// The present state forbids it; what to do about it is said too.
    #[error("{0}")]
    Refused(String),
    /// The configuration lacks something.
    #[error("{0}")]
    Config(String),
    /// One of the two databases of a domain.
    #[error(transparent)]
    Sync(#[from] banyan_table_sync::Error),
    /// Cutover's own database.
    #[error("cutover's database: {0}")]
    Database(#[from] sqlx::Error),
}

pub(crate) type Result<T> = std::result::Result<T, Error>;
