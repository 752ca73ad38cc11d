//! Deleting what nobody asks for any more.

use sqlx::PgPool;

/// Deletes keys that have expired and that nobody works on, `batch` at a time (short locks, short transactions), until
/// none is left; how many. For a job of the service.
///
/// # Errors
/// The database's.
pub async fn reap(pool: &PgPool, batch: u32) -> Result<u64, sqlx::Error> {
    let mut reaped = 0;
    loop {
        // now() and not clock_timestamp(): only what does not change within a statement can use the index.
        let (finished, unfinished): (i64, i64) = sqlx::query_as(
            "WITH expired AS (
               SELECT id FROM idempotency_key
               WHERE expires_at <= now() AND coalesce(locked_until <= now(), true)
               ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED),
             gone AS (
               DELETE FROM idempotency_key k USING expired WHERE k.id = expired.id RETURNING k.finished_at)
             SELECT count(finished_at), count(*) - count(finished_at) FROM gone",
        )
        .bind(i64::from(batch))
        .fetch_one(pool)
        .await?;
        for (state, count) in [("finished", finished), ("unfinished", unfinished)] {
            metrics::counter!("banyan_idempotency_reaped_total", "state" => state)
                .increment(count.unsigned_abs());
        }
        let count = finished.unsigned_abs() + unfinished.unsigned_abs();
        reaped += count;
        if count < u64::from(batch.max(1)) {
            return Ok(reaped);
        }
    }
}
