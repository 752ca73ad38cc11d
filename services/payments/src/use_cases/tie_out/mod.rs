//! Tying a UTC day out: payments against ledger, and both against Stripe's balance transactions.
//!
//! Every difference becomes a row of `tie_out_difference`, and what is new since the last run of the same day one `migration.alert` event.
//! A day can be tied out as often as wanted: a run that finds the same again changes nothing, one that finds a difference gone marks it
//! resolved. A day that is not over yet shows what is under way.
//!
//! Stripe's own fees are not compared: they depend on the card, and our fee schedule is a price list. Stripe's stand-in books a partial
//! capture as a whole charge and a refund of the rest, which shows as differences there.

mod at_stripe;

use std::collections::BTreeMap;

use banyan_events::payloads::MigrationAlert;
use banyan_messaging::outbox::{self, NewEvent};
use time::Date;
use uuid::Uuid;

use super::Env;
use crate::domain::tie_out::{Difference, DifferenceKind, rate};
use crate::storage::tie_out::{self, Day};
use crate::stripe::StripeError;

/// Why a day could not be tied out. Nothing is stored then: what was not compared is not known to agree.
#[derive(Debug, thiserror::Error)]
pub enum TieOutError {
    /// The day has not begun.
    #[error("the day has not begun")]
    NotYet,
    /// Stripe did not say what it has.
    #[error(transparent)]
    Stripe(#[from] StripeError),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What a run found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The run.
    pub run_id: Uuid,
    /// The day, UTC.
    pub day: Date,
    /// How many things were compared.
    pub compared: i64,
    /// What does not agree, by kind and object.
    pub differences: Vec<Difference>,
}

impl Report {
    /// How many differences there are of each kind, none included.
    pub fn by_kind(&self) -> BTreeMap<DifferenceKind, usize> {
        let mut counts: BTreeMap<_, _> = DifferenceKind::ALL.iter().map(|kind| (*kind, 0)).collect();
        for difference in &self.differences {
            *counts.entry(difference.kind).or_default() += 1;
        }
        counts
    }
}

/// Ties a day out and stores what does not agree.
///
/// # Errors
/// [`TieOutError`].
pub async fn run(env: &Env, day: Date) -> Result<Report, TieOutError> {
    let window = Day::from(day);
    if window.from > env.now() {
        return Err(TieOutError::NotYet);
    }
    let mut connection = env.pool.acquire().await?;
    let (in_books, mut differences) = tie_out::books(&mut connection, window).await?;
    // No connection waits for Stripe.
    drop(connection);
    let (at_stripe, more) = at_stripe::compare(env, window).await?;
    differences.extend(more);
    differences.sort();
    // Of several news of one thing the last one stands.
    differences.dedup_by(|one, other| (one.kind, &one.object) == (other.kind, &other.object));
    let report = Report {
        run_id: (env.new_id)(),
        day,
        compared: in_books + at_stripe,
        differences,
    };
    store(env, &report).await?;
    Ok(report)
}

/// Shows a day's differences as the gauge `banyan_payments_tie_out_differences`.
pub fn measure(report: &Report) {
    for (kind, count) in report.by_kind() {
        // Counts of one day are exact in a gauge far beyond what a day has.
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        metrics::gauge!("banyan_payments_tie_out_differences", "kind" => kind.name()).set(count);
    }
}

async fn store(env: &Env, report: &Report) -> Result<(), sqlx::Error> {
    let mut transaction = env.pool.begin().await?;
    let stored = tie_out::store(
        &mut transaction,
        report.day,
        report.run_id,
        &report.differences,
        env.now(),
    )
    .await?;
    if stored.news > 0 {
        let mismatches = i64::try_from(report.differences.len()).unwrap_or(i64::MAX);
        let event = MigrationAlert {
            service: "payments".to_owned(),
            mismatches,
            sample_size: report.compared,
            mismatch_rate: rate(mismatches, report.compared),
            message: message(report),
            run_id: report.run_id,
        };
        let event = NewEvent {
            id: (env.new_id)(),
            ..NewEvent::new(format!("tie-out/{}", report.day), event)
        };
        outbox::publish(&mut transaction, event).await?;
    }
    transaction.commit().await
}

fn message(report: &Report) -> String {
    let counts: Vec<String> = report
        .by_kind()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    format!("{} does not tie out: {}", report.day, counts.join(", "))
}
