//! Running a transaction again that lost against another one.

use std::{error::Error as StdError, time::Duration};

use crate::{ErrorClass, classify_chain};

/// Attempts in all. A transaction that loses this often meets a design error rather than bad luck.
const ATTEMPTS: u32 = 5;

/// Runs `transaction` again while it fails with a serialization failure or a deadlock.
///
/// `transaction` must begin and commit the transaction itself, and have no effect outside the database.
/// The error may wrap the one of sqlx, as [`classify_chain`] looks through the sources.
///
/// # Errors
/// The first error of another kind, or the last serialization failure.
pub async fn retry_serialization<T, E, F, Fut>(mut transaction: F) -> Result<T, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: StdError + 'static,
{
    let mut attempt = 1;
    loop {
        match transaction().await {
            Err(error) if attempt < ATTEMPTS && classify_chain(&error) == ErrorClass::Serialization => {
                tracing::debug!(attempt, "transaction lost against another one, running it again");
                // Growing, so that two that block each other do not meet again at the same moment.
                tokio::time::sleep(Duration::from_millis(u64::from(attempt * attempt))).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn other_errors_are_not_repeated() {
        let runs = Cell::new(0);
        let result: Result<(), sqlx::Error> = retry_serialization(|| {
            runs.set(runs.get() + 1);
            async { Err(sqlx::Error::RowNotFound) }
        })
        .await;
        assert!(matches!(result, Err(sqlx::Error::RowNotFound)));
        assert_eq!(runs.get(), 1);
    }
}
