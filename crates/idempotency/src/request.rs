//! A request that carries a key.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use banyan_fail_points::fail_points;
use banyan_service_kit::Problem;
use banyan_service_kit::problem::INTERNAL;
use sha2::{Digest, Sha256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::answer::Answer;
use crate::claim::{Claimed, PgQuery, Refusal};
use crate::fingerprint::Fingerprint;
use crate::key::Key;

/// Longer paths go into the scope as their hash: a row of an index has 2,704 bytes at most.
const MAX_PATH_BYTES: usize = 512;

/// How the keys of an operation are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The operation: keys of another one are other keys. A label of the metrics, so a constant name such as `charge`.
    pub operation: &'static str,
    /// Whether a key belongs to one path of the operation, such as the refunds of *one* payment, instead of all.
    pub per_path: bool,
    /// How long a request may take before the next one with its key takes it for dead and carries on. Longer than any
    /// timeout within the handler.
    pub lease: Duration,
    /// How long a key is remembered, from its first use. Stripe removes keys that are
    /// [at least 24 hours old](https://docs.stripe.com/api/idempotent_requests).
    pub retention: Duration,
    /// The largest body that is stored. The repetition of an answer with a larger one has its status and no body.
    pub max_answer_bytes: usize,
}

impl Options {
    /// One minute of lease, a day of retention, answers of up to 256 KiB.
    pub const fn new(operation: &'static str) -> Self {
        Self {
            operation,
            per_path: false,
            lease: Duration::from_mins(1),
            retention: Duration::from_hours(24),
            max_answer_bytes: 256 * 1024,
        }
    }

    /// The scope of the keys of a request to this path.
    pub(crate) fn scope(&self, path: &str) -> String {
        match (self.per_path, path.len()) {
            (false, _) => self.operation.to_owned(),
            (true, ..=MAX_PATH_BYTES) => format!("{} {path}", self.operation),
            (true, _) => {
                let digest = Bytes::copy_from_slice(&Sha256::digest(path));
                format!("{} sha256:{digest:x}", self.operation)
            }
        }
    }
}

/// A request with a key, not yet claimed. A route behind [`Idempotency::by_handler`](crate::Idempotency::by_handler) takes
/// it as an extractor.
#[derive(Debug, Clone)]
pub struct IdempotentRequest {
    pub(crate) id: Uuid,
    pub(crate) scope: String,
    pub(crate) owner: String,
    pub(crate) key: Key,
    pub(crate) options: Options,
}

impl IdempotentRequest {
    /// The client's key, for what else is named after it, such as the key of a call to Stripe.
    pub fn key(&self) -> &str {
        self.key.as_str()
    }

    /// Binds the seven arguments of `idempotency_claim` to a statement that calls it, as its next parameters: `$1` to
    /// `$7` when nothing was bound before. Of the row that comes back, [`IdempotentRequest::claimed`] reads the columns
    /// of `claim.*`.
    pub fn bind<'q>(&self, query: PgQuery<'q>, fingerprint: &Fingerprint) -> PgQuery<'q> {
        query
            .bind(self.id)
            .bind(self.scope.as_str())
            .bind(self.owner.as_str())
            .bind(self.key.as_str())
            .bind(fingerprint.as_bytes())
            .bind(millis(self.options.lease))
            .bind(millis(self.options.retention))
    }

    /// What a statement with `idempotency_claim` came to: the claim, or why there is none. Counts it.
    ///
    /// # Errors
    /// A column of the claim is missing.
    pub fn claimed(&self, row: &PgRow) -> Result<Result<Claimed, Refusal>, sqlx::Error> {
        let outcome: &str = row.try_get("claim_outcome")?;
        let claim = match outcome {
            "first" | "taken_over" => Ok(Claimed::of_row(
                row,
                millis(self.options.lease),
                self.options.operation,
            )?),
            "replayed" => Err(Refusal::Replay(Box::new(Answer::of_row(row)?))),
            "in_progress" => Err(Refusal::InProgress),
            "mismatch" => Err(Refusal::Mismatch),
            other => return Err(sqlx::Error::Decode(format!("claim_outcome is {other:?}").into())),
        };
        metrics::counter!("banyan_idempotency_requests_total",
            "operation" => self.options.operation, "outcome" => outcome.to_owned())
        .increment(1);
        Ok(claim)
    }

    /// Claims the key. The claim is to be committed before the work begins: until then others with this key wait.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim(
        &self,
        connection: &mut PgConnection,
        fingerprint: &Fingerprint,
    ) -> Result<Result<Claimed, Refusal>, sqlx::Error> {
        let query = sqlx::query("SELECT * FROM idempotency_claim($1, $2, $3, $4, $5, $6, $7)");
        let query = self.bind(query, fingerprint);
        let row = fail_points!("idempotency.claim", query.fetch_one(connection).await)?;
        self.claimed(&row)
    }
}

impl<S: Sync> FromRequestParts<S> for IdempotentRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(|| {
            tracing::error!(
                "an operation asks for its idempotency key and is not behind `Idempotency::by_handler`"
            );
            Problem::new(&INTERNAL)
        })
    }
}

/// For PostgreSQL; 292 million years are long enough.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_the_operation_or_one_path_of_it() {
        let mut options = Options::new("refund");
        assert_eq!(options.scope("/api/payments/7/refunds"), "refund");
        options.per_path = true;
        assert_eq!(
            options.scope("/api/payments/7/refunds"),
            "refund /api/payments/7/refunds"
        );
        let (one, two) = ("/".repeat(9000), "/".repeat(9001));
        assert_ne!(options.scope(&one), options.scope(&two));
        assert!(options.scope(&one).len() < 100);
    }
}
