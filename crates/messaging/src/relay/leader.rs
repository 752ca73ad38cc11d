//! The connection of the leading relay: its lock, its sleep, and the outbox rows it reads and marks.

use std::time::Duration;

use banyan_fail_points::fail_points;
use sqlx::{Connection, PgConnection, PgPool, postgres::PgListener};

use super::{RelayError, row::Row};

/// First key of the advisory locks of the outbox; `sql/outbox.v1.sql` uses the same for the second lock.
const LOCKS: i32 = 1_650_552_442;
/// Held by the leader for as long as its connection lives.
const LEADER: i32 = 1;
/// Held by a leader that sleeps: a writer that finds it taken sends a NOTIFY.
const ASLEEP: i32 = 2;

/// How soon a relay looks again that could not fall asleep because a writer has not committed yet.
const WRITERS_PAUSE: Duration = Duration::from_millis(10);

macro_rules! mark {
    () => {
        "UPDATE outbox SET published_at = now() WHERE sequence = ANY($1) AND published_at IS NULL"
    };
}

macro_rules! read {
    () => {
        "SELECT id, subject, sequence, type AS kind, payload::text AS payload, created_at,
           headers->>'traceparent' AS traceparent, headers->>'tracestate' AS tracestate,
           headers->>'effectowner' AS effectowner, headers->>'dataschema' AS dataschema
         FROM outbox WHERE published_at IS NULL AND sequence <> ALL($2) ORDER BY sequence LIMIT $3"
    };
}

/// `$1` is there for both alike, and nothing here.
const READ: &str = concat!("WITH marked AS (SELECT $1::bigint[]) ", read!());
const MARK_AND_READ: &str = concat!("WITH marked AS (", mark!(), ") ", read!());

/// The one relay that works on this database. Everything it does goes over one connection; where that is lost, so is the
/// lock, and with it the right to publish.
pub(super) struct Leader {
    connection: PgConnection,
    wake_up: PgListener,
}

impl Leader {
    /// Takes the lead.
    ///
    /// # Errors
    /// [`RelayError::StandBy`] where another relay has it.
    pub(super) async fn elect(pool: &PgPool) -> Result<Self, RelayError> {
        // Out of the pool for good: a session lock must not come back to it.
        let mut connection = pool.acquire().await?.detach();
        let elected: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)")
            .bind(LOCKS)
            .bind(LEADER)
            .fetch_one(&mut connection)
            .await?;
        if !elected {
            connection.close().await?;
            return Err(RelayError::StandBy);
        }
        // The partial index is in the right order; a table that has not been analysed yet must not be scanned and sorted.
        // Custom plans: a list that is known when the statement is planned is looked up by hash, others are walked through
        // for every row (<https://www.postgresql.org/docs/15/release-15.html>, hashed NOT IN).
        sqlx::raw_sql("SET enable_seqscan = off; SET plan_cache_mode = force_custom_plan")
            .execute(&mut connection)
            .await?;
        let mut wake_up = PgListener::connect_with(pool).await?;
        wake_up.listen("outbox").await?;
        Ok(Self { connection, wake_up })
    }

    /// Marks the `confirmed` rows as published and returns the first `limit` unpublished ones that are not `known`, in
    /// order: one round trip, one commit. `known` has the confirmed ones too, because a statement does not see its own
    /// marks.
    ///
    /// By what is unpublished, not from a cursor on: a transaction that commits late has a lower number than others
    /// that are published already.
    pub(super) async fn turn_over(
        &mut self,
        confirmed: &[i64],
        known: &[i64],
        limit: u32,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let sql = if confirmed.is_empty() { READ } else { MARK_AND_READ };
        let query = sqlx::query_as(sql)
            .bind(confirmed)
            .bind(known)
            .bind(i64::from(limit));
        // Reading alone is no mark, and no place for a fail-point.
        if confirmed.is_empty() {
            return query.fetch_all(&mut self.connection).await;
        }
        fail_points!("relay.mark", query.fetch_all(&mut self.connection).await)
    }

    /// Marks rows as published.
    pub(super) async fn mark(&mut self, confirmed: &[i64]) -> Result<(), sqlx::Error> {
        let query = sqlx::query(mark!()).bind(confirmed);
        fail_points!("relay.mark", query.execute(&mut self.connection).await)?;
        Ok(())
    }

    /// Sleeps until a writer wakes it, for `limit` at most.
    ///
    /// With the lock taken it looks once more: a row that committed before that is seen, a writer that comes after it
    /// finds the lock taken and notifies. A writer in between holds the lock shared, and then there is no sleep.
    pub(super) async fn sleep(&mut self, limit: Duration) -> Result<(), sqlx::Error> {
        let asleep: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)")
            .bind(LOCKS)
            .bind(ASLEEP)
            .fetch_one(&mut self.connection)
            .await?;
        if !asleep {
            tokio::time::sleep(WRITERS_PAUSE).await;
            return Ok(());
        }
        let waiting: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)")
                .fetch_one(&mut self.connection)
                .await?;
        if !waiting {
            // A lost listener connects again by itself; the limit stands behind it.
            let _ = tokio::time::timeout(limit, self.wake_up.recv()).await;
        }
        sqlx::query("SELECT pg_advisory_unlock($1, $2)")
            .bind(LOCKS)
            .bind(ASLEEP)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Gives the lead up, so that a standby need not wait for the server to notice: it ends a session some time after
    /// the client closed it.
    pub(super) async fn resign(mut self) {
        let freed = sqlx::query("SELECT pg_advisory_unlock_all()")
            .execute(&mut self.connection)
            .await;
        if let Err(error) = freed {
            tracing::debug!(%error, "the leader's connection was gone before it gave the lead up");
        }
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "the leader's connection was gone before it was closed");
        }
    }
}
