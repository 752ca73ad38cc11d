//! Every way in which an operation can fail, and what it answers then.

use axum::response::{IntoResponse, Response};
use banyan_service_kit::{Problem, problem};

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A category is named twice.
    #[error("category {index} of the body is there twice")]
    TwiceTheCategory {
        /// Its place in the list.
        index: usize,
    },
    /// The account was erased; the token has not run out yet.
    #[error("the account is closed")]
    AccountClosed,
    /// The database.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::TwiceTheCategory { index } => {
                Self::invalid(format!("categories[{index}].category"), "is there twice")
            }
            ApiError::AccountClosed => Self::new(&problem::FORBIDDEN).detail("This account is closed."),
            ApiError::Database(error) => Self::database(&error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_status() {
        let away = sqlx::Error::PoolTimedOut;
        for (error, status) in [
            (ApiError::TwiceTheCategory { index: 1 }, 422),
            (ApiError::AccountClosed, 403),
            (ApiError::Database(away), 503),
            (ApiError::Database(sqlx::Error::RowNotFound), 500),
        ] {
            let text = error.to_string();
            assert_eq!(Problem::from(error).status().as_u16(), status, "{text}");
        }
    }
}
