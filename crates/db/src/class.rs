//! What a database error means for the caller.

use std::error::Error as StdError;

use sqlx::error::DatabaseError;

/// What to do about a database error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ErrorClass {
    /// The database cannot be used now: connection refused or lost, starting or stopping, out of connections or disk,
    /// a standby that does not accept writes, no free connection in the pool. Try again later.
    Unavailable,
    /// The transaction lost against another one (SQLSTATE 40001, 40P01). Run it again at once.
    Serialization,
    /// A constraint refused the row; its name.
    Constraint(String),
    /// The other side of a migration acts for the user (`BN421`, of `crates/ownership`). Hand the request over.
    Misdirected,
    /// Anything else: most likely a bug.
    Other,
}

/// The class of an error of sqlx.
pub fn classify(error: &sqlx::Error) -> ErrorClass {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => ErrorClass::Unavailable,
        sqlx::Error::Database(database) => classify_database(database.as_ref()),
        sqlx::Error::Migrate(migrate) => classify_chain(migrate.as_ref()),
        _ => ErrorClass::Other,
    }
}

/// The class of the first database error in a chain of sources; [`ErrorClass::Other`] where there is none.
///
/// For errors that wrap [`sqlx::Error`], also transparently.
pub fn classify_chain(error: &(dyn StdError + 'static)) -> ErrorClass {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<sqlx::Error>() {
            return classify(error);
        }
        // `#[error(transparent)]` forwards to the source of the sqlx error and so hides it.
        if let Some(error) = error.downcast_ref::<sqlx::postgres::PgDatabaseError>() {
            return classify_database(error);
        }
        next = error.source();
    }
    ErrorClass::Other
}

fn classify_database(error: &dyn DatabaseError) -> ErrorClass {
    let Some(code) = error.code() else {
        return ErrorClass::Other;
    };
    let class = classify_sqlstate(&code);
    match (class, error.constraint()) {
        (ErrorClass::Constraint(_), Some(name)) => ErrorClass::Constraint(name.to_owned()),
        (class, _) => class,
    }
}

/// By SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn classify_sqlstate(code: &str) -> ErrorClass {
    match code {
        "40001" | "40P01" => ErrorClass::Serialization,
        "BN421" => ErrorClass::Misdirected,
        // A user who is being moved, and is this side's in a moment (BN503). Shutdowns, a crash recovery, a dropped database; a standby after
        // a failover.
        "BN503" | "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25006" => ErrorClass::Unavailable,
        // 08: connection exception. 53: out of connections, memory or disk. 58: I/O error of the server.
        code if code.starts_with("08") || code.starts_with("53") || code.starts_with("58") => {
            ErrorClass::Unavailable
        }
        code if code.starts_with("23") => ErrorClass::Constraint(code.to_owned()),
        _ => ErrorClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn sqlstates_are_classified() {
        for code in ["57P01", "57P03", "08006", "53300", "53100", "25006", "58030"] {
            assert_eq!(classify_sqlstate(code), ErrorClass::Unavailable, "{code}");
        }
        for code in ["40001", "40P01"] {
            assert_eq!(classify_sqlstate(code), ErrorClass::Serialization, "{code}");
        }
        assert_eq!(classify_sqlstate("23505"), ErrorClass::Constraint("23505".into()));
        for code in ["42P01", "57014", "22001"] {
            assert_eq!(classify_sqlstate(code), ErrorClass::Other, "{code}");
        }
    }

    #[test]
    fn a_lost_connection_is_found_through_wrappers() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot store the payment")]
        struct Wrapped(#[source] sqlx::Error);

        let lost = || sqlx::Error::Io(io::Error::from(io::ErrorKind::ConnectionReset));
        assert_eq!(classify(&lost()), ErrorClass::Unavailable);
        assert_eq!(classify_chain(&Wrapped(lost())), ErrorClass::Unavailable);
        assert_eq!(
            classify_chain(&Wrapped(sqlx::Error::RowNotFound)),
            ErrorClass::Other
        );
        assert_eq!(
            classify_chain(&io::Error::other("no database here")),
            ErrorClass::Other
        );
    }
}
