//! Subscribing, and switching to another plan: the first period is paid before the answer.
//!
//! Subscription, invoice and payment are committed, then Stripe is called, then the outcome is committed with all three and with the
//! answer. As with a charge, the next request with the key goes on from whatever a crash left.

use banyan_db::retry_serialization;
use banyan_fail_points::fail_points;
use banyan_idempotency::{Answer, ClaimError, Claimed, Fingerprint, IdempotentRequest, Refusal};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::billing::{Bill, Credit, make_invoice, period_end};
use super::customers::{CustomerError, customer_of};
use super::invoice_payments::{Locked, mark_paid};
use super::payment_methods::{MethodError, find_or_add};
use super::settle::settle_in;
use crate::domain::attempt::REPLAY_WINDOW;
use crate::domain::coupon::{Coupon, CouponRefusal};
use crate::domain::customer::WantedMethod;
use crate::domain::invoice::Totals;
use crate::domain::money::Minor;
use crate::domain::payment::{Payment, PaymentStatus, Reason};
use crate::domain::subscription::{Plan, Subscription, SubscriptionStatus};
use crate::domain::{fingerprint, proration};
use crate::storage::subscription::NewSubscription;
use crate::storage::{coupon, customer, invoice, invoice_payment, method, plan, subscription};
use crate::stripe::StripeError;
use crate::use_cases::{Env, ask};

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Order {
    /// Who subscribes.
    pub user_id: i64,
    /// To what.
    pub plan_id: i64,
    /// With which card.
    pub method: WantedMethod,
    /// With which coupon; empty for none.
    pub coupon_code: String,
}

/// Writes the answer for a subscription, as it is stored under the key.
pub type Render<'a> = &'a (dyn Fn(&Subscription) -> Result<Answer, serde_json::Error> + Send + Sync);

/// Why nobody was subscribed.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The account was erased.
    #[error("the account is closed")]
    Closed,
    /// There is no such plan, or not any more.
    #[error("no such plan")]
    NoSuchPlan,
    /// The card is not one of the user's.
    #[error("no such payment method")]
    NotYourMethod,
    /// The card that was to be attached on the fly is not usable.
    #[error(transparent)]
    Method(MethodError),
    /// The coupon.
    #[error(transparent)]
    Coupon(#[from] CouponRefusal),
    /// The user is subscribed to this plan.
    #[error("there is a subscription to this plan")]
    AlreadySubscribed,
    /// The first payment of an earlier subscription is not decided.
    #[error("an earlier subscription is not decided")]
    Undecided,
    /// The subscription that would be switched from is not paid.
    #[error("the current subscription is not paid")]
    PastDue,
    /// What is left of the current plan is worth more than the new one.
    #[error("the switch would pay out")]
    WouldPayOut,
    /// Nothing was asked of Stripe, because it does not answer.
    #[error("Stripe does not answer")]
    StripeAway,
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The answer could not be written.
    #[error(transparent)]
    Answer(#[from] serde_json::Error),
}

/// Subscribes once per idempotency key. The refusal is the answer of an earlier request with the key, or why there is none.
///
/// # Errors
/// [`SubscribeError`]. But for the last two nothing was begun, and the key is free for a mended request.
pub async fn subscribe(
    env: &Env,
    order: &Order,
    keyed: &IdempotentRequest,
    render: Render<'_>,
) -> Result<Result<Answer, Refusal>, SubscribeError> {
    let request_fingerprint = fingerprint::subscription(order.plan_id, &order.method, &order.coupon_code);
    let claim_fingerprint = Fingerprint::of_canonical(&request_fingerprint);
    let claim = keyed
        .claim(&mut *env.pool.acquire().await?, &claim_fingerprint)
        .await?;
    let claimed = match claim {
        Ok(claimed) => claimed,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let work = Work {
        env,
        order,
        render,
        key: keyed.key(),
        request_fingerprint,
    };
    let begun = match work.begin().await {
        Ok(begun) => begun,
        Err(error) => {
            claimed.forget(&mut *env.pool.acquire().await?).await?;
            return Err(error);
        }
    };
    let ended = match begun {
        Begun::Paid(subscription) => work.finish(&claimed, &subscription).await.map(Ok),
        Begun::Ask {
            subscription_id,
            payment,
        } => work.carry_out(&claimed, subscription_id, &payment).await.map(Ok),
        Begun::Earlier(subscription) => work.again(&claimed, *subscription).await.map(Err),
    };
    if ended.is_err() {
        // What was begun is gone on with by the next request, at once rather than at the end of the lease.
        claimed.suspend(&mut *env.pool.acquire().await?).await?;
    }
    ended
}

/// What a request came to before Stripe was asked to charge.
enum Begun {
    /// An earlier request with the key made this one.
    Earlier(Box<Subscription>),
    /// The first invoice was one of nothing.
    Paid(Box<Subscription>),
    /// Stripe is to be asked for the first payment.
    Ask {
        subscription_id: i64,
        payment: Box<Payment>,
    },
}

/// One request at work.
struct Work<'a> {
    env: &'a Env,
    order: &'a Order,
    render: Render<'a>,
    key: &'a str,
    request_fingerprint: String,
}

impl Work<'_> {
    async fn begin(&self) -> Result<Begun, SubscribeError> {
        let (env, user_id) = (self.env, self.order.user_id);
        let mut connection = env.pool.acquire().await?;
        if let Some(earlier) = subscription::of_key(&mut connection, user_id, self.key).await? {
            return Ok(Begun::Earlier(Box::new(earlier)));
        }
        if customer::is_erased(&mut connection, user_id).await? {
            return Err(SubscribeError::Closed);
        }
        let plan = plan::active(&mut connection, self.order.plan_id).await?;
        let plan = plan.ok_or(SubscribeError::NoSuchPlan)?;
        drop(connection);
        if !env.stripe.is_available() {
            return Err(SubscribeError::StripeAway);
        }
        let method_id = self.method().await?;
        retry_serialization(|| self.note(&plan, method_id)).await
    }

    /// The card that is to pay, attached where it has to be.
    async fn method(&self) -> Result<i64, SubscribeError> {
        let id = match &self.order.method {
            // Whether it is the user's is looked at under the customer's lock.
            WantedMethod::Id(id) => return Ok(*id),
            WantedMethod::Stripe(id) => id,
        };
        let customer = customer_of(self.env, self.order.user_id)
            .await
            .map_err(|error| match error {
                CustomerError::Stripe(error) => away(&error),
                CustomerError::Database(error) => error.into(),
            })?;
        match find_or_add(self.env, &customer, id).await {
            Ok(method) => Ok(method.id),
            Err(MethodError::Stripe(error)) => Err(away(&error)),
            Err(MethodError::Database(error)) => Err(error.into()),
            Err(error) => Err(SubscribeError::Method(error)),
        }
    }

    /// Commits the subscription, its invoice, and the payment that is about to be asked for.
    async fn note(&self, plan: &Plan, payment_method_id: i64) -> Result<Begun, SubscribeError> {
        let (env, user_id) = (self.env, self.order.user_id);
        let now = env.now();
        let mut transaction = env.pool.begin().await?;
        let connection = &mut *transaction;
        env.ownership.hold(connection, user_id).await?;
        // Serialises what a user subscribes to.
        let customer = customer::lock_of_user(connection, user_id)
            .await?
            .ok_or(SubscribeError::NotYourMethod)?;
        if let Some(earlier) = subscription::of_key(connection, user_id, self.key).await? {
            return Ok(Begun::Earlier(Box::new(earlier)));
        }
        if customer::is_erased(connection, user_id).await? {
            return Err(SubscribeError::Closed);
        }
        if !method::is_attached(connection, customer.id, payment_method_id).await? {
            return Err(SubscribeError::NotYourMethod);
        }
        let live = subscription::lock_live_of(connection, user_id).await?;
        let coupon = self.coupon(connection, plan, now).await?;
        let replaced = current(live, plan)?;
        let credit = match &replaced {
            Some(replaced) => credit(connection, replaced, now).await?,
            None => None,
        };
        let credited = credit.as_ref().map_or(Minor::ZERO, |credit| credit.amount);
        let totals = Totals::new(plan.amount, credited, coupon.map(|coupon| coupon.discount))
            .ok_or(SubscribeError::WouldPayOut)?;
        let bill = Bill {
            plan,
            start: now,
            end: period_end(now, now, plan)?,
            totals,
            credit,
        };
        let new = NewSubscription {
            user_id,
            customer_id: customer.id,
            plan_id: plan.id,
            currency: plan.currency,
            payment_method_id,
            coupon_id: coupon.map(|coupon| coupon.id),
            replaces_id: replaced.as_ref().map(|replaced| replaced.id),
            idempotency_key: self.key,
            request_fingerprint: &self.request_fingerprint,
            now,
            period_end: bill.end,
        };
        let subscription = subscription::insert(connection, &new).await?;
        let invoice = make_invoice(connection, &subscription, &bill, now).await?;
        let subscription_id = subscription.id;
        let begun = if totals.total == Minor::ZERO {
            let locked = Locked {
                invoice,
                subscription,
                replaced,
            };
            mark_paid(connection, env, locked, now).await?;
            Begun::Paid(Box::new(reread(connection, subscription_id).await?))
        } else {
            let id = (env.new_id)();
            let payment = invoice_payment::begin(connection, &invoice, &subscription, false, id, now).await?;
            Begun::Ask {
                subscription_id,
                payment: Box::new(payment),
            }
        };
        fail_points!("subscribe.note.commit", transaction.commit().await)?;
        Ok(begun)
    }

    async fn coupon(
        &self,
        connection: &mut PgConnection,
        plan: &Plan,
        now: OffsetDateTime,
    ) -> Result<Option<Coupon>, SubscribeError> {
        if self.order.coupon_code.is_empty() {
            return Ok(None);
        }
        let coupon = coupon::lock(connection, &self.order.coupon_code).await?;
        let coupon = coupon.ok_or(CouponRefusal::Unknown)?;
        coupon.check(plan.currency, now)?;
        if coupon::is_used_up(connection, &coupon).await? {
            return Err(CouponRefusal::UsedUp.into());
        }
        if coupon::is_used_by(connection, coupon.id, self.order.user_id).await? {
            return Err(CouponRefusal::Used.into());
        }
        Ok(Some(coupon))
    }

    /// Asks Stripe for the first payment, and writes the outcome down with the answer.
    async fn carry_out(
        &self,
        claimed: &Claimed,
        subscription_id: i64,
        payment: &Payment,
    ) -> Result<Answer, SubscribeError> {
        let env = self.env;
        let ids = customer::stripe_ids_of(&mut *env.pool.acquire().await?, payment.id).await?;
        // Every payment of an invoice has a card.
        let (customer, method) = ids.ok_or(sqlx::Error::RowNotFound)?;
        let outcome = ask(env, payment, &customer, &method).await;
        retry_serialization(async || {
            let mut transaction = env.pool.begin().await?;
            settle_in(&mut transaction, env, payment, &outcome, Reason::Subscribe).await?;
            let subscription = reread(&mut transaction, subscription_id).await?;
            let answer = self.keep(&mut transaction, claimed, &subscription).await?;
            fail_points!("subscribe.settle.commit", transaction.commit().await)?;
            Ok(answer)
        })
        .await
    }

    /// The answer to a request whose key made a subscription before.
    async fn again(&self, claimed: &Claimed, subscription: Subscription) -> Result<Refusal, SubscribeError> {
        let mut connection = self.env.pool.acquire().await?;
        // The key's own row may be younger than the subscription: that was made by the other side, or the row expired.
        if subscription.request_fingerprint != self.request_fingerprint {
            claimed.forget(&mut connection).await?;
            return Ok(Refusal::Mismatch);
        }
        let first = invoice_payment::first_of(&mut connection, subscription.id).await?;
        let undecided = first.filter(|(payment, _)| {
            subscription.status == SubscriptionStatus::Incomplete && payment.status == PaymentStatus::Pending
        });
        let Some((payment, running_since)) = undecided else {
            drop(connection);
            return Ok(replay(self.finish(claimed, &subscription).await?));
        };
        let now = self.env.now();
        let runs_elsewhere =
            !claimed.taken_over() && running_since.is_some_and(|since| now - since < self.env.charge.lease());
        if runs_elsewhere {
            claimed.forget(&mut connection).await?;
            return Ok(Refusal::InProgress);
        }
        drop(connection);
        if now - payment.created_at >= REPLAY_WINDOW {
            // Stripe has forgotten the key: only looking it up is safe, which the job that reconciles does.
            return Ok(replay(self.finish(claimed, &subscription).await?));
        }
        Ok(replay(self.carry_out(claimed, subscription.id, &payment).await?))
    }

    /// The answer that the subscription's present state gives, stored under the key once that is decided.
    async fn finish(&self, claimed: &Claimed, subscription: &Subscription) -> Result<Answer, SubscribeError> {
        self.keep(&mut *self.env.pool.acquire().await?, claimed, subscription)
            .await
    }

    async fn keep(
        &self,
        connection: &mut PgConnection,
        claimed: &Claimed,
        subscription: &Subscription,
    ) -> Result<Answer, SubscribeError> {
        let answer = (self.render)(subscription)?;
        if subscription.status == SubscriptionStatus::Incomplete {
            claimed.suspend(connection).await?;
            return Ok(answer);
        }
        match claimed.finish(connection, &answer).await {
            // What is settled stays so: whoever took the claim over gives the same answer.
            Ok(()) | Err(ClaimError::Lost) => Ok(answer),
            Err(ClaimError::Database(error)) => Err(error.into()),
        }
    }
}

/// The user's subscription in the plan's currency, which the new one would take over from.
fn current(live: Vec<Subscription>, plan: &Plan) -> Result<Option<Subscription>, SubscribeError> {
    let mut current = live;
    current.retain(|subscription| subscription.currency == plan.currency);
    if current.iter().any(|subscription| subscription.plan_id == plan.id) {
        return Err(SubscribeError::AlreadySubscribed);
    }
    if current
        .iter()
        .any(|subscription| subscription.status == SubscriptionStatus::Incomplete)
    {
        return Err(SubscribeError::Undecided);
    }
    match current.pop() {
        Some(subscription) if subscription.status == SubscriptionStatus::PastDue => {
            Err(SubscribeError::PastDue)
        }
        found => Ok(found),
    }
}

/// What the time is worth that is left of a subscription's paid period, where it is worth anything.
async fn credit(
    connection: &mut PgConnection,
    replaced: &Subscription,
    now: OffsetDateTime,
) -> Result<Option<Credit>, SubscribeError> {
    let (start, until) = (replaced.current_period_start, replaced.current_period_end);
    let paid = invoice::paid_for(connection, replaced.id, start).await?;
    // A CHECK keeps periods from being empty.
    let amount = proration::credit(paid, start, until, now).unwrap_or_default();
    if amount == Minor::ZERO {
        return Ok(None);
    }
    let plan = plan::get(connection, replaced.plan_id).await?;
    Ok(Some(Credit {
        plan: plan.ok_or(sqlx::Error::RowNotFound)?,
        amount,
        until,
    }))
}

async fn reread(connection: &mut PgConnection, id: i64) -> Result<Subscription, sqlx::Error> {
    subscription::get(connection, id)
        .await?
        .ok_or(sqlx::Error::RowNotFound)
}

fn replay(answer: Answer) -> Refusal {
    Refusal::Replay(Box::new(answer))
}

fn away(error: &StripeError) -> SubscribeError {
    tracing::warn!(%error, "Stripe does not answer: nothing was charged");
    SubscribeError::StripeAway
}
