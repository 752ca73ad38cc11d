//! How long a change takes: one payment is changed again and again, and looked at on the other side.

use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::stage::{Stage, payments};

/// Between two changes, whether the last one is there yet or not.
const EVERY: Duration = Duration::from_millis(20);
/// Between two looks: lags are as exact as that.
const LOOK: Duration = Duration::from_millis(3);

/// Moments by the number of the change.
type Moments = anyhow::Result<Vec<Instant>>;

pub(crate) struct Probes {
    done: CancellationToken,
    committed: JoinHandle<Moments>,
    seen: JoinHandle<Moments>,
}

impl Probes {
    pub(crate) async fn start(stage: &Stage) -> anyhow::Result<Self> {
        stage
            .legacy
            .execute(payments("(SELECT nextval('new_payment'))"))
            .await?;
        let id = stage
            .legacy
            .number("SELECT max(id) FROM payments_payment")
            .await?;
        let done = CancellationToken::new();
        Ok(Self {
            committed: tokio::spawn(change(stage.legacy.pool.clone(), id, done.clone())),
            seen: tokio::spawn(watch(stage.service.pool.clone(), id, done.clone())),
            done,
        })
    }

    /// Ends it. Milliseconds, sorted; a change that is not there by then is not among them, and others tell of the same wait.
    pub(crate) async fn lags(self) -> anyhow::Result<Vec<u64>> {
        self.done.cancel();
        let (committed, seen) = (self.committed.await??, self.seen.await??);
        let lags = committed.iter().zip(&seen);
        let lags = lags.map(|(committed, seen)| seen.saturating_duration_since(*committed).as_millis());
        let mut lags = lags.map(u64::try_from).collect::<Result<Vec<_>, _>>()?;
        lags.sort_unstable();
        Ok(lags)
    }
}

async fn change(legacy: PgPool, id: i64, done: CancellationToken) -> Moments {
    let mut committed = Vec::new();
    let mut turn = tokio::time::interval(EVERY);
    turn.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while !done.is_cancelled() {
        turn.tick().await;
        sqlx::query("UPDATE payments_payment SET description = 'Probe ' || $2 WHERE id = $1")
            .bind(id)
            .bind(i64::try_from(committed.len())?)
            .execute(&legacy)
            .await?;
        committed.push(Instant::now());
    }
    Ok(committed)
}

async fn watch(service: PgPool, id: i64, done: CancellationToken) -> Moments {
    let mut seen: Vec<Instant> = Vec::new();
    while !done.is_cancelled() {
        let last: Option<i64> = sqlx::query_scalar(
            "SELECT split_part(description, ' ', 2)::bigint FROM payment WHERE id = $1 AND description LIKE 'Probe %'",
        )
        .bind(id)
        .fetch_optional(&service)
        .await?;
        let now = Instant::now();
        // With one that is there, all before it are.
        if let Some(last) = last {
            seen.resize(usize::try_from(last + 1)?, now);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(seen)
}
