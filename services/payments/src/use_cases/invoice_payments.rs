//! What the payment of an invoice means for its subscription, in the transaction that settles the payment.

use banyan_events::payloads::SubscriptionRenewed;
use banyan_messaging::outbox::{self, NewEvent};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::invoice::{Invoice, InvoiceStatus, of_payment_key};
use crate::domain::payment::{Payment, PaymentStatus};
use crate::domain::subscription::{Subscription, SubscriptionStatus};
use crate::storage::{invoice, invoice_payment, subscription};
use crate::use_cases::cancel_subscription::end_now;
use crate::use_cases::{EFFECT_OWNER, Env};

/// The payment has just got this status: if it was for an invoice, its subscription runs, is tried again later, or ends.
///
/// # Errors
/// The database's.
pub(super) async fn follow(
    connection: &mut PgConnection,
    env: &Env,
    payment: &Payment,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let Some(locked) = lock(connection, payment).await? else {
        return Ok(());
    };
    match payment.status {
        PaymentStatus::Completed => paid(connection, env, payment, locked, now).await,
        PaymentStatus::Failed | PaymentStatus::Canceled => declined(connection, payment, locked, now).await,
        _ => Ok(()),
    }
}

/// An invoice with its subscription and the one which that takes over from, all locked.
pub(super) struct Locked {
    pub(super) invoice: Invoice,
    pub(super) subscription: Subscription,
    pub(super) replaced: Option<Subscription>,
}

async fn lock(connection: &mut PgConnection, payment: &Payment) -> Result<Option<Locked>, sqlx::Error> {
    // A client can send any key, but not without a fingerprint.
    let invoice_id = match payment.request_fingerprint {
        None => of_payment_key(&payment.idempotency_key),
        Some(_) => None,
    };
    let Some(invoice_id) = invoice_id else {
        return Ok(None);
    };
    let Some(subscription_id) = invoice::subscription_of(connection, invoice_id).await? else {
        return Ok(None);
    };
    let (own, others): (Vec<_>, Vec<_>) = subscription::lock_with_replaced(connection, subscription_id)
        .await?
        .into_iter()
        .partition(|row| row.id == subscription_id);
    let invoice = invoice::lock(connection, invoice_id).await?;
    let found = own
        .into_iter()
        .next()
        .zip(invoice)
        .filter(|(_, invoice)| invoice.user_id == payment.user_id);
    Ok(found.map(|(subscription, invoice)| Locked {
        invoice,
        subscription,
        replaced: others.into_iter().next(),
    }))
}

async fn paid(
    connection: &mut PgConnection,
    env: &Env,
    payment: &Payment,
    locked: Locked,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let is_latest = locked.invoice.payment_id == Some(payment.id);
    if is_latest && locked.invoice.status == InvoiceStatus::Paid {
        return Ok(());
    }
    if is_latest && locked.subscription.status.is_live() {
        return mark_paid(connection, env, locked, now).await;
    }
    // It ended while the payment was under way; or this payment had failed, and another has taken its place.
    tracing::warn!(
        payment.id,
        invoice.id = locked.invoice.id,
        "paid too late: it is given back"
    );
    invoice_payment::give_back(connection, payment, (env.new_id)(), now).await
}

async fn declined(
    connection: &mut PgConnection,
    payment: &Payment,
    locked: Locked,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let Locked {
        invoice,
        mut subscription,
        ..
    } = locked;
    if invoice.payment_id != Some(payment.id) || invoice.status != InvoiceStatus::Open {
        return Ok(());
    }
    let given_up = subscription.decline(now);
    subscription::save(connection, &subscription, now).await?;
    if let Some(status) = given_up {
        invoice::set_status(connection, invoice.id, status, now).await?;
    }
    Ok(())
}

/// The subscription runs to the end of the invoice's period. A first invoice ends the subscription that is taken over from and uses the
/// coupon; a renewal that was paid for is told.
///
/// # Errors
/// The database's.
pub(super) async fn mark_paid(
    connection: &mut PgConnection,
    env: &Env,
    locked: Locked,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    let Locked {
        invoice,
        mut subscription,
        replaced,
    } = locked;
    let is_renewal = subscription.status != SubscriptionStatus::Incomplete;
    // Before the new one is active: there is one per user and currency.
    if let Some(mut replaced) = replaced.filter(|old| !is_renewal && old.status.is_renewable()) {
        end_now(connection, &mut replaced, now).await?;
    }
    subscription.run_for(invoice.period_start, invoice.period_end);
    subscription::save(connection, &subscription, now).await?;
    invoice::set_status(connection, invoice.id, InvoiceStatus::Paid, now).await?;
    // An invoice of nothing has no payment to tell of.
    if let Some(payment_id) = invoice.payment_id.filter(|_| is_renewal) {
        let event = SubscriptionRenewed {
            subscription_id: subscription.id,
            user_id: subscription.user_id,
            plan_id: subscription.plan_id,
            payment_id,
            period_start: invoice.period_start,
            period_end: invoice.period_end,
        };
        let event = NewEvent {
            id: (env.new_id)(),
            effect_owner: EFFECT_OWNER,
            ..NewEvent::new(format!("subscription/{}", subscription.id), event)
        };
        outbox::publish(connection, event).await?;
    }
    Ok(())
}
