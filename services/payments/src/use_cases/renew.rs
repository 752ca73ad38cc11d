//! Renewing subscriptions: each period is billed once, declines are tried again, what was to end ends.
//!
//! As a charge, a renewal is committed before Stripe is asked, and its outcome after. Whatever a crash leaves in between is gone on
//! with when the subscription is looked at again, under the same Stripe key.

use banyan_db::retry_serialization;
use futures::StreamExt as _;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;

use super::billing::{Bill, make_invoice, period_end};
use super::cancel::cancel;
use super::cancel_subscription::end_now;
use super::change::ChangeError;
use super::invoice_payments::{Locked, mark_paid};
use super::settle::settle;
use crate::domain::attempt::REPLAY_WINDOW;
use crate::domain::invoice::{Invoice, InvoiceStatus, Totals};
use crate::domain::money::Minor;
use crate::domain::payment::{Payment, PaymentStatus, Reason};
use crate::domain::subscription::Subscription;
use crate::storage::{coupon, customer, invoice, invoice_payment, payment, plan, subscription};
use crate::use_cases::{Env, ask};

/// When a renewal is looked at again whose outcome nobody wrote down; the job that reconciles payments mostly does before.
const LOOK_AGAIN_AFTER: Duration = Duration::hours(1);

/// Renewals at once: each waits for Stripe most of its time.
const AT_ONCE: usize = 8;

/// Bills what is due, up to `limit` subscriptions; how many were tried. One that cannot be renewed does not keep the others waiting.
///
/// # Errors
/// The database's, where it could not be asked for what is due.
pub async fn renew_due(env: &Env, limit: u32, shutdown: &CancellationToken) -> Result<usize, sqlx::Error> {
    let mut connection = env.pool.acquire().await?;
    let due = subscription::due(&mut connection, env.first_id, env.now(), limit.into()).await?;
    drop(connection);
    let tried = due.len();
    futures::stream::iter(due)
        .take_until(shutdown.cancelled())
        .for_each_concurrent(AT_ONCE, async |id| {
            if let Err(error) = renew(env, id).await {
                tracing::error!(subscription.id = id, %error, "subscription not renewed");
            }
        })
        .await;
    Ok(tried)
}

/// Bills one subscription's next period if it is due, or ends it. Any number of calls, at once or one after the other, bill a period
/// once.
///
/// # Errors
/// The database's.
pub async fn renew(env: &Env, subscription_id: i64) -> Result<(), sqlx::Error> {
    // While Stripe is known to be away nothing is begun that could not be asked for: it stays due.
    if !env.stripe.is_available() {
        return Ok(());
    }
    match retry_serialization(|| begin(env, subscription_id)).await? {
        Next::Nothing => Ok(()),
        // Nobody is there to confirm it: to us that is a decline.
        Next::GiveUp(payment) => give_up(env, &payment).await,
        Next::Ask(payment) => {
            let ids = customer::stripe_ids_of(&mut *env.pool.acquire().await?, payment.id).await?;
            // Every payment of an invoice has a card.
            let (customer, method) = ids.ok_or(sqlx::Error::RowNotFound)?;
            let outcome = ask(env, &payment, &customer, &method).await;
            let settled = settle(env, &payment, &outcome, Reason::Renewal).await?;
            match settled.payment.status {
                PaymentStatus::RequiresAction => give_up(env, &settled.payment).await,
                _ => Ok(()),
            }
        }
    }
}

/// What is left to be done at Stripe.
enum Next {
    Nothing,
    /// Charge it.
    Ask(Box<Payment>),
    /// Cancel it.
    GiveUp(Box<Payment>),
}

/// Commits the payment that is about to be asked for.
async fn begin(env: &Env, subscription_id: i64) -> Result<Next, sqlx::Error> {
    let now = env.now();
    let mut transaction = env.pool.begin().await?;
    let found = subscription::lock_due(&mut transaction, subscription_id, now).await?;
    let Some(mut subscription) = found else {
        return Ok(Next::Nothing);
    };
    if subscription::is_being_replaced(&mut transaction, subscription.id).await? {
        return Ok(Next::Nothing);
    }
    let is_over = subscription.cancel_at_period_end
        || customer::is_erased(&mut transaction, subscription.user_id).await?;
    if is_over {
        end_now(&mut transaction, &mut subscription, now).await?;
        transaction.commit().await?;
        return Ok(Next::Nothing);
    }
    let invoice = next_invoice(&mut transaction, &subscription, now).await?;
    subscription.next_billing_at = now + LOOK_AGAIN_AFTER;
    subscription::save(&mut transaction, &subscription, now).await?;
    let next = bill(&mut transaction, env, subscription, invoice, now).await?;
    transaction.commit().await?;
    Ok(next)
}

/// The invoice of the next period: one is made unless there is one.
async fn next_invoice(
    connection: &mut PgConnection,
    subscription: &Subscription,
    now: OffsetDateTime,
) -> Result<Invoice, sqlx::Error> {
    let start = subscription.current_period_end;
    if let Some(invoice) = invoice::of_period(connection, subscription.id, start).await? {
        return Ok(invoice);
    }
    let plan = plan::get(connection, subscription.plan_id)
        .await?
        .ok_or(sqlx::Error::RowNotFound)?;
    let coupon = match subscription.coupon_id {
        Some(id) => coupon::get(connection, id).await?,
        None => None,
    };
    let discount = coupon.and_then(|coupon| coupon.of_renewals());
    let bill = Bill {
        plan: &plan,
        start,
        end: period_end(subscription.billing_anchor, start, &plan)?,
        // A discount is at most the price.
        totals: Totals::new(plan.amount, Minor::ZERO, discount).ok_or(sqlx::Error::RowNotFound)?,
        credit: None,
    };
    make_invoice(connection, subscription, &bill, now).await
}

/// Decides what is still to be done for the invoice, and notes the payment that is to be asked for.
async fn bill(
    connection: &mut PgConnection,
    env: &Env,
    subscription: Subscription,
    invoice: Invoice,
    now: OffsetDateTime,
) -> Result<Next, sqlx::Error> {
    if invoice.status != InvoiceStatus::Open {
        tracing::error!(
            subscription.id,
            invoice.id,
            "due for a period whose invoice is not open"
        );
        return Ok(Next::Nothing);
    }
    let last = match invoice.payment_id {
        Some(id) => payment::get(connection, id).await?,
        None => None,
    };
    let is_free = invoice.totals.total == Minor::ZERO;
    match last {
        Some(last) if last.status == PaymentStatus::Pending => {
            // Beyond that only looking it up is safe, which the job that reconciles does.
            let can_ask = now - last.created_at < REPLAY_WINDOW;
            Ok(if can_ask {
                Next::Ask(Box::new(last))
            } else {
                Next::Nothing
            })
        }
        Some(last) if last.status == PaymentStatus::RequiresAction => Ok(Next::GiveUp(Box::new(last))),
        Some(last) if last.status == PaymentStatus::RequiresCapture => Ok(Next::Nothing),
        None
        | Some(Payment {
            status: PaymentStatus::Failed | PaymentStatus::Canceled,
            ..
        }) if !is_free => {
            let id = (env.new_id)();
            let payment = invoice_payment::begin(connection, &invoice, &subscription, true, id, now).await?;
            Ok(Next::Ask(Box::new(payment)))
        }
        // Nothing to pay; or it was paid, and is not asked for again.
        _ => {
            let locked = Locked {
                invoice,
                subscription,
                replaced: None,
            };
            mark_paid(connection, env, locked, now).await?;
            Ok(Next::Nothing)
        }
    }
}

/// Cancels a payment that waits for a cardholder who is not there. What is decided otherwise, or is being so, stays as it is: the next run
/// looks again.
async fn give_up(env: &Env, payment: &Payment) -> Result<(), sqlx::Error> {
    match cancel(env, payment.user_id, payment.id).await {
        Err(ChangeError::Database(error)) => Err(error),
        Err(error) => {
            tracing::warn!(payment.id, %error, "an unconfirmed renewal was not canceled");
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}
