//! What goes wrong.

use std::borrow::Cow;

use crate::mapping::MappingError;

/// Why the sync of a domain stopped. Rows that cannot be carried do not stop it; they are held back, see [`crate::state`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A database said no, or did not answer.
    #[error("{doing}: {error}")]
    Database {
        /// What was being done.
        doing: String,
        /// What PostgreSQL said.
        #[source]
        error: sqlx::Error,
    },
    /// The stream of changes ended.
    #[error("the changes of {slot} end: {error}")]
    Replication {
        /// The slot.
        slot: String,
        /// Why.
        #[source]
        error: pgwire_replication::PgWireError,
    },
    /// What PostgreSQL sent is not what its documentation says.
    #[error("a message of the replication stream cannot be read: {0}")]
    Malformed(&'static str),
    /// Changes between the last position and now are gone.
    #[error(
        "slot {slot}: {problem}; changes since {applied} are lost, so the tables have to be copied again (`resync`)"
    )]
    SlotLost {
        /// The slot.
        slot: String,
        /// How it is noticed.
        problem: String,
        /// The last position that was applied.
        applied: String,
    },
    /// The sync did not carry in time what was committed.
    #[error(
        "{stream} has not carried in {waited:?} what was committed before ({problem}), so nothing can be said of the two sides"
    )]
    Unsettled {
        /// The stream.
        stream: String,
        /// How long it was given.
        waited: std::time::Duration,
        /// Where it stands.
        problem: String,
    },
    /// The other process has it.
    #[error("another process runs {0}")]
    Busy(String),
    /// Rows would be lost by it.
    #[error("{0}")]
    Refused(String),
    /// It was told to end.
    #[error("it was stopped before it was done")]
    Stopped,
    /// A table in one of the databases is not as the mapping has it.
    #[error("{0}")]
    Table(String),
    /// See there.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The URL of a database.
    #[error("the URL of the {0} database cannot be used: {1}")]
    Url(Cow<'static, str>, String),
}

/// Says what was being done when a database failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| Error::Database { doing: what(), error })
    }
}

/// Whether a row is at fault and not the database: its text is not of the type, or it breaks a constraint.
///
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>, classes 21, 22 and 23 and what `RAISE` gives.
pub(crate) fn is_of_a_row(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| {
        code.starts_with("21") || code.starts_with("22") || code.starts_with("23") || code == "P0001"
    })
}

/// Whether a table or a column is not there, or not of its type any more.
pub(crate) fn is_of_the_schema(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code.starts_with("42"))
}

/// A unique constraint.
pub(crate) fn is_unique_violation(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == "23505")
}

fn code(error: &sqlx::Error) -> Option<String> {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .map(std::borrow::Cow::into_owned)
}

/// What PostgreSQL says of it, with column, constraint and detail where it names them.
pub(crate) fn told(error: &sqlx::Error) -> String {
    use sqlx::postgres::PgDatabaseError;
    let Some(error) = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
    else {
        return error.to_string();
    };
    // Not the detail: it quotes the row's values.
    let message = error.message();
    let of = |what: &str, name: Option<&str>| {
        let name = name.filter(|name| !message.contains(&format!("\"{name}\"")));
        name.map_or_else(String::new, |name| format!(" ({what} {name})"))
    };
    format!(
        "{message}{}{}",
        of("column", error.column()),
        of("constraint", error.constraint())
    )
}
