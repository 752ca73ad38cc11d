//! What a failed statement means for the event being handled.

use banyan_db::ErrorClass;

/// A failed statement. One batch answers many deliveries, so it can be cloned.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{text}")]
pub struct StoreError {
    /// What to do about it.
    pub class: ErrorClass,
    text: String,
}

impl StoreError {
    /// The database is away, in words of ours.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self {
            class: ErrorClass::Unavailable,
            text: text.into(),
        }
    }

    /// Whether the database is away, so that the event is to be held and not to be tried on the ladder.
    pub fn is_unavailable(&self) -> bool {
        self.class == ErrorClass::Unavailable
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&sqlx::Error> for StoreError {
    fn from(error: &sqlx::Error) -> Self {
        let class = match error {
            // A server that is killed while a connection is made is noticed in the middle of its first answer.
            sqlx::Error::Protocol(_) => ErrorClass::Unavailable,
            error => banyan_db::classify(error),
        };
        Self {
            class,
            text: format!("database: {error}"),
        }
    }
}
