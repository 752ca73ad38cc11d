//! Finding out what became of calls to Stripe whose outcome got lost.
//!
//! Stripe is asked what it has. Only where it has nothing, and while it would still recognise the idempotency key, is it asked for
//! the same again under that same key; a while after it has forgotten the key, what it does not have counts as never made. So
//! nothing is done twice, whoever runs this at the same time: another instance, the monolith's job, or a client with its key.

mod change;
mod payment;
mod refund;

use std::num::NonZeroU32;

use futures::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::Env;
use crate::storage::{self, Due};
use crate::stripe::StripeError;

/// How much a run does at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many are read at once.
    pub batch: NonZeroU32,
    /// How many are asked about at the same time.
    pub concurrency: NonZeroU32,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Looked into.
    pub seen: u64,
    /// Of these, those whose outcome is known now.
    pub settled: u64,
    /// Of these, those that could not be worked off because of an error of ours.
    pub failed: u64,
}

/// What can be undecided.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Payment,
    Change,
    Refund,
}

/// How one of them ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Looked {
    Settled,
    Undecided,
    Failed,
}

/// Why one of them was not settled.
#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error("Stripe does not say: {0}")]
    Stripe(#[from] StripeError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Looks into all that has been undecided for longer than a call to Stripe can take, oldest first. Ends early at a shutdown, and where
/// Stripe does not answer.
///
/// # Errors
/// The database's, where what is due cannot be read. One that fails by itself does not keep the others waiting.
pub async fn run(env: &Env, limits: Limits, shutdown: &CancellationToken) -> Result<Tally, sqlx::Error> {
    let mut tally = Tally::default();
    for kind in [Kind::Payment, Kind::Change, Kind::Refund] {
        let mut after = None;
        loop {
            let due = kind.due(env, after.as_ref(), limits.batch).await?;
            let Some(last) = due.last().cloned() else { break };
            let mut looked = stream::iter(due)
                .take_while(|_| std::future::ready(!shutdown.is_cancelled() && env.stripe.is_available()))
                .map(|due| kind.look_into(env, due.subject))
                .buffer_unordered(usize::try_from(limits.concurrency.get()).unwrap_or(usize::MAX));
            while let Some(looked) = looked.next().await {
                tally.count(looked);
            }
            if shutdown.is_cancelled() || !env.stripe.is_available() {
                return Ok(tally);
            }
            after = Some(last);
        }
    }
    Ok(tally)
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Change => "change",
            Self::Refund => "refund",
        }
    }

    async fn due(self, env: &Env, after: Option<&Due>, batch: NonZeroU32) -> Result<Vec<Due>, sqlx::Error> {
        let (before, limit) = (env.lease_start(), i64::from(batch.get()));
        let (first, mut connection) = (env.first_id, env.pool.acquire().await?);
        match self {
            Self::Payment => storage::payment::pending(&mut connection, first, before, after, limit).await,
            Self::Change => storage::attempt::undecided(&mut connection, first, before, after, limit).await,
            Self::Refund => storage::refund::undecided(&mut connection, first, before, after, limit).await,
        }
    }

    async fn look_into(self, env: &Env, id: i64) -> Looked {
        let settled = match self {
            Self::Payment => payment::reconcile(env, id).await,
            Self::Change => change::reconcile(env, id).await,
            Self::Refund => refund::reconcile(env, id).await,
        };
        let object = self.name();
        let (looked, outcome) = match settled {
            Ok(true) => (Looked::Settled, "settled"),
            Ok(false) => (Looked::Undecided, "undecided"),
            Err(ReconcileError::Stripe(error)) => {
                tracing::warn!(object, id, %error, "not reconciled: Stripe does not say");
                (Looked::Undecided, "undecided")
            }
            Err(error) => {
                tracing::error!(object, id, %error, "not reconciled");
                (Looked::Failed, "failed")
            }
        };
        metrics::counter!("banyan_payments_reconciled_total", "object" => object, "outcome" => outcome)
            .increment(1);
        looked
    }
}

impl Tally {
    fn count(&mut self, looked: Looked) {
        self.seen += 1;
        match looked {
            Looked::Settled => self.settled += 1,
            Looked::Undecided => {}
            Looked::Failed => self.failed += 1,
        }
    }
}
