//! Sending what payments brought to the bank.
//!
//! A payout and what is in it are committed, then Stripe is asked under the key `payout:<id>`, then the outcome is committed. Two
//! instances at once find different payments due, and ask for the same payout under the same key.

use banyan_db::retry_serialization;
use banyan_events::payloads::PayoutPaid;
use banyan_messaging::outbox::{self, NewEvent};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

use super::{EFFECT_OWNER, Env};
use crate::domain::attempt::{GIVE_UP_AFTER, REPLAY_WINDOW};
use crate::domain::ledger::TransactionKind;
use crate::domain::money::CurrencyCode;
use crate::domain::payout::{Payout, PayoutOutcome, PayoutStatus, SETTLED_AFTER};
use crate::storage::ledger::{self, About, Booking};
use crate::storage::payout;
use crate::stripe::{self, CreatePayout, Created, StripeError};

/// Payments in one payout at most.
const BATCH: i64 = 10_000;

/// How far Stripe's clock and ours may differ.
const CLOCKS_DIFFER: Duration = Duration::minutes(5);

/// Why a payout was not brought forward. Nothing is lost: the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum PayoutError {
    /// Stripe did not say how a payout stands.
    #[error(transparent)]
    Stripe(#[from] StripeError),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Payouts that a run brought forward.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Asked about.
    pub reconciled: u32,
    /// Made.
    pub created: u32,
    /// Not worked off, each told in the log.
    pub failed: u32,
}

/// Sees how earlier payouts ended, then pays out what is settled, a payout per currency. One that cannot be worked off does not keep the
/// others waiting.
///
/// # Errors
/// The database's, where it cannot even be seen what is due.
pub async fn run(env: &Env) -> Result<Tally, sqlx::Error> {
    let mut tally = Tally::default();
    let mut connection = env.pool.acquire().await?;
    let unfinished =
        payout::unfinished(&mut connection, env.first_id, env.now() - env.charge.lease()).await?;
    drop(connection);
    for payout in unfinished {
        match reconcile(env, &payout).await {
            Ok(()) => tally.reconciled += 1,
            Err(error) => {
                tally.failed += 1;
                tracing::warn!(payout_id = payout.id, %error, "payout not reconciled");
            }
        }
    }
    let mut connection = env.pool.acquire().await?;
    let due = payout::due_currencies(&mut connection, env.first_id, env.now() - SETTLED_AFTER).await?;
    drop(connection);
    for currency in due {
        match create(env, currency).await {
            Ok(made) => tally.created += u32::from(made),
            Err(error) => {
                tally.failed += 1;
                tracing::warn!(%currency, %error, "payout not created");
            }
        }
    }
    Ok(tally)
}

/// Pays out all that is due in a currency; false while that is nothing, or less than nothing.
async fn create(env: &Env, currency: CurrencyCode) -> Result<bool, PayoutError> {
    let now = env.now();
    let mut transaction = env.pool.begin().await?;
    let due = payout::lock_due(
        &mut transaction,
        env.first_id,
        currency,
        now - SETTLED_AFTER,
        BATCH,
    )
    .await?;
    let Some(begun) = payout::begin(&mut transaction, currency, &due, now).await? else {
        return Ok(false);
    };
    transaction.commit().await?;
    send(env, &begun).await?;
    Ok(true)
}

/// Asks Stripe how a payout stands. One that it does not have is asked for again while Stripe knows the key, and given up after a day.
async fn reconcile(env: &Env, payout: &Payout) -> Result<(), PayoutError> {
    let found = if let Some(stripe_id) = &payout.stripe_payout_id {
        env.stripe.retrieve_payout(stripe_id, env.deadline()).await?
    } else {
        let created = Created::since(payout.created_at - CLOCKS_DIFFER);
        env.stripe.find_payout(payout.id, created, env.deadline()).await?
    };
    let age = env.now() - payout.created_at;
    let outcome = match found {
        Some(found) => outcome_of(&found),
        None if age < REPLAY_WINDOW => {
            payout::note_started(&mut *env.pool.acquire().await?, payout.id, env.now()).await?;
            return Ok(send(env, payout).await?);
        }
        None if age > GIVE_UP_AFTER => PayoutOutcome {
            status: Some(PayoutStatus::Failed),
            stripe_id: None,
            code: Some("not_processed".to_owned()),
        },
        None => return Ok(()),
    };
    Ok(settle(env, payout.id, &outcome).await?)
}

/// Asks Stripe for a payout and writes down what came of it.
async fn send(env: &Env, payout: &Payout) -> Result<(), sqlx::Error> {
    let currency = payout.currency.to_string();
    let request = CreatePayout {
        payout_id: payout.id,
        amount: payout.amount.0,
        currency: &currency,
    };
    let outcome = match env.stripe.create_payout(&request, env.deadline()).await {
        Ok(made) => outcome_of(&made),
        Err(StripeError::Refused(refusal)) => PayoutOutcome {
            status: Some(PayoutStatus::Failed),
            stripe_id: None,
            code: Some(refusal.answer.code.unwrap_or_else(|| "refused".to_owned())),
        },
        Err(error) => {
            tracing::warn!(payout_id = payout.id, %error, "the outcome of a payout is unknown");
            PayoutOutcome::default()
        }
    };
    settle(env, payout.id, &outcome).await
}

/// Writes an outcome down once; what comes late or twice changes nothing.
///
/// # Errors
/// The database's.
pub async fn settle(env: &Env, payout_id: i64, outcome: &PayoutOutcome) -> Result<(), sqlx::Error> {
    retry_serialization(|| settle_once(env, payout_id, outcome)).await
}

async fn settle_once(env: &Env, payout_id: i64, outcome: &PayoutOutcome) -> Result<(), sqlx::Error> {
    let now = env.now();
    let mut transaction = env.pool.begin().await?;
    let Some(payout) = payout::lock(&mut transaction, payout_id).await? else {
        return Ok(());
    };
    let next = outcome.status.filter(|next| payout.status.may_become(*next));
    if next.is_none() && (payout.stripe_payout_id.is_some() || outcome.stripe_id.is_none()) {
        return Ok(());
    }
    payout::advance(
        &mut transaction,
        payout.id,
        next.unwrap_or(payout.status),
        outcome,
        now,
    )
    .await?;
    match next {
        Some(PayoutStatus::Paid) => {
            book(&mut transaction, &payout, TransactionKind::Payout, now).await?;
            announce(env, &mut transaction, &payout, now).await?;
        }
        Some(next) if next.is_released() => {
            payout::release(&mut transaction, payout.id, now).await?;
            if payout.status == PayoutStatus::Paid {
                book(&mut transaction, &payout, TransactionKind::PayoutFailed, now).await?;
            }
        }
        _ => {}
    }
    transaction.commit().await
}

async fn book(
    connection: &mut PgConnection,
    payout: &Payout,
    kind: TransactionKind,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let booking = Booking {
        kind,
        amount: payout.amount,
        currency: payout.currency,
        // Neither side of a payout is a customer's.
        customer_id: 0,
        about: About::Payout { payout_id: payout.id },
    };
    ledger::book(connection, &booking, now).await?;
    Ok(())
}

async fn announce(
    env: &Env,
    connection: &mut PgConnection,
    payout: &Payout,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let event = PayoutPaid {
        payout_id: payout.id,
        amount_minor: payout.amount.0,
        currency: payout.currency.to_string(),
        payment_count: payout.payment_count.into(),
        paid_at: now,
    };
    let event = NewEvent {
        id: (env.new_id)(),
        effect_owner: EFFECT_OWNER,
        ..NewEvent::new(format!("payout/{}", payout.id), event)
    };
    outbox::publish(connection, event).await?;
    Ok(())
}

/// What Stripe's payout means.
pub fn outcome_of(found: &stripe::Payout) -> PayoutOutcome {
    let status = match found.status {
        stripe::PayoutStatus::Pending => Some(PayoutStatus::Pending),
        stripe::PayoutStatus::InTransit => Some(PayoutStatus::InTransit),
        stripe::PayoutStatus::Paid => Some(PayoutStatus::Paid),
        stripe::PayoutStatus::Failed => Some(PayoutStatus::Failed),
        stripe::PayoutStatus::Canceled => Some(PayoutStatus::Canceled),
        stripe::PayoutStatus::Other => None,
    };
    PayoutOutcome {
        status,
        stripe_id: Some(found.id.clone()),
        code: found.failure_code.clone(),
    }
}
