//! Refunds.

use super::ReconcileError;
use crate::domain::attempt::{GIVE_UP_AFTER, REPLAY_WINDOW};
use crate::domain::payment::{Payment, Reason};
use crate::domain::refund::{Refund, RefundOutcome, RefundStatus};
use crate::storage::{payment, refund};
use crate::use_cases::Env;
use crate::use_cases::refund::{ask, of_stripe};
use crate::use_cases::settle_refund::settle_refund;

/// Settles one refund; false while its outcome is still unknown.
pub(super) async fn reconcile(env: &Env, refund_id: i64) -> Result<bool, ReconcileError> {
    let mut connection = env.pool.acquire().await?;
    let pending = refund::get(&mut connection, refund_id).await?;
    let Some(pending) = pending.filter(|refund| refund.status == RefundStatus::Pending) else {
        return Ok(true);
    };
    let Some(payment) = payment::get(&mut connection, pending.payment_id).await? else {
        return Ok(true);
    };
    drop(connection);
    let Some(intent) = &payment.stripe_payment_intent_id else {
        return Ok(false);
    };
    let age = env.now() - pending.created_at;
    let outcome = match look_up(env, &pending, intent).await? {
        Some(outcome) => Some(outcome),
        None if pending.stripe_refund_id.is_some() => {
            // Stripe named it once: more likely the key is of another account than that there was no refund.
            tracing::error!(refund_id, "Stripe does not have a refund");
            None
        }
        None if age < REPLAY_WINDOW => replay(env, &payment, &pending).await?,
        None if age > GIVE_UP_AFTER => Some(RefundOutcome {
            code: Some("not_processed".to_owned()),
            ..RefundOutcome::of(RefundStatus::Failed)
        }),
        None => None,
    };
    let Some(outcome) = outcome else {
        return Ok(false);
    };
    let settled = settle_refund(env, refund_id, &outcome, Reason::Reconcile).await?;
    Ok(settled.is_none_or(|settled| settled.status != RefundStatus::Pending))
}

async fn look_up(
    env: &Env,
    refund: &Refund,
    payment_intent: &str,
) -> Result<Option<RefundOutcome>, ReconcileError> {
    let deadline = env.deadline();
    let found = if let Some(id) = &refund.stripe_refund_id {
        env.stripe.retrieve_refund(id, deadline).await?
    } else {
        let all = env.stripe.refunds_of(payment_intent, deadline).await?;
        all.into_iter().find(|found| found.refund_id() == Some(refund.id))
    };
    Ok(found.as_ref().map(of_stripe))
}

/// Asks for the same refund again, unless another process may be doing so.
async fn replay(
    env: &Env,
    payment: &Payment,
    refund: &Refund,
) -> Result<Option<RefundOutcome>, ReconcileError> {
    let mut connection = env.pool.acquire().await?;
    let begun = refund::begin_call(&mut connection, refund.id, env.lease_start(), env.now()).await?;
    drop(connection);
    if !begun {
        return Ok(None);
    }
    Ok(Some(ask(env, payment, refund).await))
}
