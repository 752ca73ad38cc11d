//! What asking for a key comes to, and what its holder may do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use banyan_fail_points::fail_points;
use banyan_service_kit::Problem;
use banyan_service_kit::problem::INTERNAL;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};
use uuid::Uuid;

use crate::answer::Answer;
use crate::problem;

/// The recovery point of work that has not noted any other.
pub const STARTED: &str = "started";

/// A query with its arguments, as `sqlx::query` makes it.
pub type PgQuery<'q> = Query<'q, Postgres, PgArguments>;

/// Why a request is not carried out. [`IntoResponse`] says it to the client.
#[derive(Debug)]
pub enum Refusal {
    /// It was carried out before, with this answer.
    Replay(Box<Answer>),
    /// Another request has the key now.
    InProgress,
    /// The key is that of another request.
    Mismatch,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Replay(answer) => answer.replayed(),
            Self::InProgress => problem::in_use().into_response(),
            Self::Mismatch => problem::reused().into_response(),
        }
    }
}

/// Why the holder of a claim could not do something with it. The transaction it was done in must roll back.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The lease ran out and another request took the key over.
    #[error("the idempotency key was taken over by another request")]
    Lost,
    /// The database's.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<ClaimError> for Problem {
    fn from(error: ClaimError) -> Self {
        match error {
            // Whoever took it over will answer; the client finds out with its next try.
            ClaimError::Lost => problem::in_use(),
            ClaimError::Database(error) => Self::database(&error),
        }
    }
}

/// The right to carry out a request, until the lease ends. A route behind the layer takes it as an extractor.
///
/// Each claim of a key has a larger fence than the one before, and whoever comes with an older fence changes nothing
/// any more: a holder that lost its lease cannot overwrite what its successor did.
#[derive(Debug, Clone)]
pub struct Claimed {
    id: Uuid,
    fence: i64,
    recovery_point: Arc<str>,
    taken_over: bool,
    lease_ms: i64,
    operation: &'static str,
    /// Set by [`Claimed::finish`].
    finished: Arc<AtomicBool>,
}

impl Claimed {
    /// Reads the columns `claim_*` of `idempotency_claim`.
    pub(crate) fn of_row(row: &PgRow, lease_ms: i64, operation: &'static str) -> Result<Self, sqlx::Error> {
        let recovery_point: String = row.try_get("claim_point")?;
        let outcome: &str = row.try_get("claim_outcome")?;
        Ok(Self {
            id: row.try_get("claim_id")?,
            fence: row.try_get("claim_fence")?,
            recovery_point: recovery_point.into(),
            taken_over: outcome == "taken_over",
            lease_ms,
            operation,
            finished: Arc::default(),
        })
    }

    /// How far an earlier run of this request came, [`STARTED`] where nothing was noted.
    pub fn recovery_point(&self) -> &str {
        &self.recovery_point
    }

    /// Whether this request was begun before: it crashed, ran longer than its lease, or ended without a final answer.
    /// What it did after its last recovery point may have been done.
    pub fn taken_over(&self) -> bool {
        self.taken_over
    }

    /// How long the lease is, counted from the claim and from each [`Claimed::advance`].
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms.unsigned_abs())
    }

    /// Notes in the caller's transaction how far the work came. The lease begins anew.
    ///
    /// # Errors
    /// [`ClaimError::Lost`]: roll back.
    pub async fn advance(&self, connection: &mut PgConnection, point: &str) -> Result<(), ClaimError> {
        let held = sqlx::query_scalar("SELECT idempotency_advance($1, $2, $3, $4)")
            .bind(self.id)
            .bind(self.fence)
            .bind(point)
            .bind(self.lease_ms)
            .fetch_one(connection)
            .await?;
        self.held(held)
    }

    /// Stores the answer in the caller's transaction: with the effect of the request it commits, or neither does.
    /// The layer does not store it again.
    ///
    /// # Errors
    /// [`ClaimError::Lost`]: roll back, and leave the answer to who took over.
    pub async fn finish(&self, connection: &mut PgConnection, answer: &Answer) -> Result<(), ClaimError> {
        let query = sqlx::query("SELECT idempotency_finish($1, $2, $3, $4, $5)");
        let query = self.bind_finish(query, answer);
        let row = fail_points!("idempotency.finish", query.fetch_one(connection).await)?;
        self.held(row.try_get(0)?)?;
        self.finished.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Binds the five arguments of `idempotency_finish` to a statement that calls it, as its next parameters. The
    /// statement must read what the function returns; false is [`ClaimError::Lost`].
    pub fn bind_finish<'q>(&self, query: PgQuery<'q>, answer: &Answer) -> PgQuery<'q> {
        query
            .bind(self.id)
            .bind(self.fence)
            .bind(answer.stored_status())
            .bind(answer.stored_headers())
            .bind(&answer.body[..])
    }

    /// Ends the lease without an answer, for one that is not final: the next request with the key takes over.
    ///
    /// # Errors
    /// The database's. That the claim is lost is no error: there is nothing to give up.
    pub async fn suspend(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.release(connection, false).await
    }

    /// As [`Claimed::suspend`], after a refusal that changed nothing: where no recovery point was noted, the key is as if
    /// it had never been used, and may come again with a mended request.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.release(connection, true).await
    }

    async fn release(&self, connection: &mut PgConnection, forget: bool) -> Result<(), sqlx::Error> {
        let query = sqlx::query("SELECT idempotency_release($1, $2, $3)")
            .bind(self.id)
            .bind(self.fence)
            .bind(forget);
        fail_points!("idempotency.release", query.execute(connection).await)?;
        Ok(())
    }

    /// Whether the handler stored its answer.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    fn held(&self, held: bool) -> Result<(), ClaimError> {
        if held {
            return Ok(());
        }
        metrics::counter!("banyan_idempotency_claims_lost_total", "operation" => self.operation).increment(1);
        Err(ClaimError::Lost)
    }
}

impl<S: Sync> FromRequestParts<S> for Claimed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(|| {
            tracing::error!("an operation asks for its claim and is not behind `Idempotency::by_layer`");
            Problem::new(&INTERNAL)
        })
    }
}
