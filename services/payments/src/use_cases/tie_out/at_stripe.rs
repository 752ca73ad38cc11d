//! Our tables against Stripe's balance transactions.
//!
//! Midnight is not at the same moment here and there, and what was lost is settled days later. So what Stripe moved on the day is looked up
//! here whenever we wrote it down, and what we wrote down on the day and Stripe did not move on it is asked of Stripe one by one.

use std::collections::HashMap;
use std::pin::pin;

use futures::TryStreamExt as _;
use tokio::time::{Duration, Instant};

use super::TieOutError;
use crate::domain::money::CurrencyCode;
use crate::domain::tie_out::{Difference, DifferenceKind};
use crate::storage::tie_out::{self, Day, Ours, Resource};
use crate::stripe::{
    BalanceTransaction, BalanceTransactionKind, Created, IntentOutcome, PayoutStatus, RefundStatus,
};
use crate::use_cases::Env;

/// Movements that are looked up here at once.
const CHUNK: usize = 500;

/// How long Stripe gets to list a day.
const LISTING: Duration = Duration::from_mins(30);

/// A movement at Stripe, as far as it has to do with something of ours.
struct Movement {
    resource: Resource,
    /// The id by which we know it; `None` for a charge without a PaymentIntent.
    stripe_id: Option<String>,
    /// What to call it where we do not know it.
    name: String,
    currency: String,
    /// Minor units, more than zero.
    amount: i64,
    /// Money that came back: a refund or payout that failed, a dispute that was won.
    is_undoing: bool,
}

/// What was compared, and what of ours Stripe has moved.
#[derive(Default)]
struct Comparison {
    compared: i64,
    differences: Vec<Difference>,
    seen: HashMap<&'static str, Vec<i64>>,
}

/// Compares a day: how many things, and which do not agree.
pub(super) async fn compare(env: &Env, day: Day) -> Result<(i64, Vec<Difference>), TieOutError> {
    let mut comparison = Comparison::default();
    let created = Created {
        from: Some(day.from),
        until: Some(day.until),
    };
    let listed = env
        .stripe
        .list_balance_transactions(created, Instant::now() + LISTING);
    let mut chunks = pin!(listed.try_chunks(CHUNK));
    while let Some(chunk) = chunks.try_next().await.map_err(|error| error.1)? {
        let movements: Vec<Movement> = chunk.into_iter().filter_map(movement).collect();
        for resource in [
            Resource::Payment,
            Resource::Refund,
            Resource::Dispute,
            Resource::Payout,
        ] {
            comparison.look_up(env, resource, &movements).await?;
        }
    }
    for resource in [
        Resource::Payment,
        Resource::Refund,
        Resource::Dispute,
        Resource::Payout,
    ] {
        comparison.ask(env, resource, day).await?;
    }
    Ok((comparison.compared, comparison.differences))
}

impl Comparison {
    /// Stripe's movements against ours.
    async fn look_up(
        &mut self,
        env: &Env,
        resource: Resource,
        movements: &[Movement],
    ) -> Result<(), sqlx::Error> {
        let movements: Vec<&Movement> = movements.iter().filter(|one| one.resource == resource).collect();
        let ids: Vec<String> = movements.iter().filter_map(|one| one.stripe_id.clone()).collect();
        let mut connection = env.pool.acquire().await?;
        let ours = tie_out::of_stripe(&mut connection, resource, &ids).await?;
        drop(connection);
        let ours: HashMap<&str, &Ours> = ours.iter().map(|one| (one.stripe_id.as_str(), one)).collect();
        for movement in movements {
            self.compared += 1;
            let one = movement.stripe_id.as_deref().and_then(|id| ours.get(id));
            let actual = if movement.is_undoing { 0 } else { movement.amount };
            let Some(one) = one else {
                self.differ(
                    resource,
                    movement.name.clone(),
                    code(&movement.currency),
                    None,
                    Some(actual),
                );
                continue;
            };
            self.seen.entry(resource.name()).or_default().push(one.id);
            let expected = match one.moved_minor {
                Some(_) if movement.is_undoing && one.is_undone => Some(0),
                expected => expected,
            };
            let in_currency = movement.currency.eq_ignore_ascii_case(one.currency.as_str());
            if expected != Some(actual) || !in_currency {
                let actual = in_currency.then_some(actual);
                self.differ(
                    resource,
                    name(resource, one),
                    Some(one.currency),
                    expected,
                    actual,
                );
            }
        }
        Ok(())
    }

    /// What we wrote down on the day and Stripe did not move on it.
    async fn ask(&mut self, env: &Env, resource: Resource, day: Day) -> Result<(), TieOutError> {
        if resource == Resource::Dispute && !env.stripe.is_stripe_itself() {
            // The stand-in knows no disputes.
            return Ok(());
        }
        let seen = self.seen.remove(resource.name()).unwrap_or_default();
        let mut connection = env.pool.acquire().await?;
        let unseen = tie_out::unseen(&mut connection, resource, day, &seen).await?;
        drop(connection);
        for one in unseen {
            self.compared += 1;
            let actual = moved_at_stripe(env, resource, &one.stripe_id).await?;
            let agrees = actual.as_ref().is_some_and(|(amount, currency)| {
                Some(*amount) == one.moved_minor && currency.eq_ignore_ascii_case(one.currency.as_str())
            });
            if !agrees {
                let actual = actual
                    .filter(|(_, currency)| currency.eq_ignore_ascii_case(one.currency.as_str()))
                    .map(|(amount, _)| amount);
                self.differ(
                    resource,
                    name(resource, &one),
                    Some(one.currency),
                    one.moved_minor,
                    actual,
                );
            }
        }
        Ok(())
    }

    fn differ(
        &mut self,
        resource: Resource,
        object: String,
        currency: Option<CurrencyCode>,
        expected_minor: Option<i64>,
        actual_minor: Option<i64>,
    ) {
        let kind = match resource {
            Resource::Payment => DifferenceKind::ChargeAtStripe,
            Resource::Refund => DifferenceKind::RefundAtStripe,
            Resource::Dispute => DifferenceKind::DisputeAtStripe,
            Resource::Payout => DifferenceKind::PayoutAtStripe,
        };
        self.differences.push(Difference {
            kind,
            object,
            currency,
            expected_minor,
            actual_minor,
        });
    }
}

/// What Stripe moved for one of ours, and in which currency; `None` where it moved nothing.
async fn moved_at_stripe(
    env: &Env,
    resource: Resource,
    id: &str,
) -> Result<Option<(i64, String)>, TieOutError> {
    let stripe = &env.stripe;
    Ok(match resource {
        Resource::Payment => {
            let intent = stripe.retrieve_payment_intent(id, env.deadline()).await?;
            intent.and_then(|intent| match intent.outcome() {
                IntentOutcome::Succeeded { received } => {
                    Some((received.unwrap_or(intent.amount), intent.currency))
                }
                _ => None,
            })
        }
        Resource::Refund => {
            let refund = stripe.retrieve_refund(id, env.deadline()).await?;
            refund
                .filter(|refund| refund.status == RefundStatus::Succeeded)
                .map(|refund| (refund.amount, refund.currency))
        }
        Resource::Dispute => {
            let dispute = stripe.retrieve_dispute(id, env.deadline()).await?;
            dispute.and_then(|dispute| Some((dispute.amount, dispute.currency?)))
        }
        Resource::Payout => {
            let payout = stripe.retrieve_payout(id, env.deadline()).await?;
            payout
                .filter(|payout| payout.status == PayoutStatus::Paid)
                .map(|payout| (payout.amount, payout.currency))
        }
    })
}

/// `None` for what our ledger does not know, such as Stripe's own fees.
fn movement(transaction: BalanceTransaction) -> Option<Movement> {
    use BalanceTransactionKind as Kind;
    let (resource, is_undoing) = match transaction.kind {
        Kind::Charge | Kind::Payment => (Resource::Payment, false),
        Kind::Refund | Kind::PaymentRefund => (Resource::Refund, false),
        Kind::RefundFailure => (Resource::Refund, true),
        Kind::Adjustment => (Resource::Dispute, transaction.amount > 0),
        Kind::Payout => (Resource::Payout, false),
        Kind::PayoutCancel | Kind::PayoutFailure => (Resource::Payout, true),
        Kind::StripeFee | Kind::Other => return None,
    };
    let source = transaction.source;
    if source.as_ref().is_some_and(|source| source.is_reserved) {
        return None;
    }
    let id = source.as_ref().map(|source| source.id.clone());
    if resource == Resource::Dispute && !id.as_deref().is_some_and(is_dispute) {
        return None;
    }
    let (amount, currency) = source
        .as_ref()
        .and_then(|source| source.moved.clone())
        .unwrap_or((transaction.amount, transaction.currency));
    let stripe_id = match resource {
        Resource::Payment => source.and_then(|source| source.payment_intent),
        _ => id.clone(),
    };
    Some(Movement {
        resource,
        stripe_id,
        name: id.unwrap_or(transaction.id),
        currency,
        amount: amount.checked_abs()?,
        is_undoing,
    })
}

/// Adjustments have other sources too, or none; Stripe's ids of disputes begin so.
fn is_dispute(id: &str) -> bool {
    id.starts_with("dp_") || id.starts_with("du_")
}

fn name(resource: Resource, ours: &Ours) -> String {
    format!("{}/{}", resource.name(), ours.id)
}

fn code(currency: &str) -> Option<CurrencyCode> {
    CurrencyCode::new(&currency.to_ascii_uppercase())
}
