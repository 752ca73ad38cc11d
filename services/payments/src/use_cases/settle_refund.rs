//! Writing down what became of a refund.

use banyan_db::retry_serialization;
use banyan_events::payloads::PaymentRefunded;
use banyan_fail_points::fail_points;
use banyan_messaging::outbox::{self, NewEvent};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{EFFECT_OWNER, Env};
use crate::domain::ledger::TransactionKind;
use crate::domain::money::Minor;
use crate::domain::payment::{Payment, Reason};
use crate::domain::refund::{Refund, RefundOutcome, payment_status};
use crate::storage::ledger::{About, Booking, book};
use crate::storage::{payment, refund};

/// Writes an outcome down once, in one transaction with all that follows from it: payment, ledger and event. One that succeeded can
/// still fail later; then the money is ours again. The refund as it is then, `None` where there is no such refund.
///
/// # Errors
/// The database's.
pub async fn settle_refund(
    env: &Env,
    refund_id: i64,
    outcome: &RefundOutcome,
    reason: Reason,
) -> Result<Option<Refund>, sqlx::Error> {
    retry_serialization(|| async {
        let mut transaction = env.pool.begin().await?;
        let settled = settle_in(&mut transaction, env, refund_id, outcome, reason).await?;
        fail_points!("settle_refund.commit", transaction.commit().await)?;
        Ok(settled)
    })
    .await
}

/// As [`settle_refund`], within the caller's transaction.
pub(super) async fn settle_in(
    connection: &mut PgConnection,
    env: &Env,
    refund_id: i64,
    outcome: &RefundOutcome,
    reason: Reason,
) -> Result<Option<Refund>, sqlx::Error> {
    let Some(payment_id) = refund::get(connection, refund_id)
        .await?
        .map(|refund| refund.payment_id)
    else {
        return Ok(None);
    };
    // The payment first, as everywhere; then the refund as it is now that nobody else can settle it.
    let Some(payment) = payment::lock(connection, payment_id).await? else {
        return Ok(None);
    };
    let Some(before) = refund::get(connection, refund_id).await? else {
        return Ok(None);
    };
    let now = env.now();
    let (after, moved) = before.after(outcome, now);
    if moved.is_some() && payment.completed_at.is_none() {
        // Stripe gave money back of a payment whose completion is still on its way here: what follows waits for that.
        tracing::warn!(
            refund_id,
            payment_id,
            "a refund is not settled before its payment completed"
        );
        return Ok(Some(before));
    }
    refund::update(connection, &after, now).await?;
    if let Some(kind) = moved {
        move_money(connection, env, &payment, &after, kind, reason, now).await?;
    }
    Ok(Some(after))
}

/// What a movement changes on the payment and in the ledger, and the event.
async fn move_money(
    connection: &mut PgConnection,
    env: &Env,
    payment: &Payment,
    refund: &Refund,
    kind: TransactionKind,
    reason: Reason,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let went_back = kind == TransactionKind::Refund;
    let change = if went_back {
        refund.amount.0
    } else {
        -refund.amount.0
    };
    let refunded = Minor(payment.amount_refunded.0 + change);
    let status = payment_status(payment, refunded);
    payment::show_refunds(connection, payment, refunded, status, reason, now).await?;
    let booking = Booking {
        kind,
        amount: refund.amount,
        currency: refund.currency,
        customer_id: payment.customer_id,
        about: About::Refund {
            payment_id: payment.id,
            refund_id: refund.id,
        },
    };
    book(connection, &booking, now).await?;
    if went_back {
        let event = PaymentRefunded {
            payment_id: payment.id,
            refund_id: refund.id,
            user_id: payment.user_id,
            amount_minor: refund.amount.0,
            currency: refund.currency.to_string(),
            refunded_at: now,
        };
        let event = NewEvent {
            id: (env.new_id)(),
            effect_owner: EFFECT_OWNER,
            ..NewEvent::new(format!("payment/{}", payment.id), event)
        };
        outbox::publish(connection, event).await?;
    }
    Ok(())
}
