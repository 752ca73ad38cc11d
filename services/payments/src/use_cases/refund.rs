//! Giving money back: the refund is committed, then Stripe is asked, then the outcome is committed.
//!
//! Refunds of one payment queue at its lock, and pending ones count against what is left, so that together they never exceed what
//! was paid. A crash, a timeout or a lost answer between the two commits leaves the refund `pending`; the next request with the key goes
//! on from there under the same Stripe key, and so does the job that reconciles.

use banyan_db::retry_serialization;
use banyan_fail_points::fail_points;
use banyan_idempotency::{Answer, ClaimError, Claimed, Fingerprint, IdempotentRequest, Refusal};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::Env;
use super::settle_refund::settle_in;
use crate::domain::attempt::REPLAY_WINDOW;
use crate::domain::fingerprint;
use crate::domain::money::{Currency, Minor};
use crate::domain::payment::{Payment, PaymentStatus, Reason};
use crate::domain::refund::{Refund, RefundOutcome, RefundReason, RefundStatus, left};
use crate::storage::payment;
use crate::storage::refund::{self, NewRefund};
use crate::stripe::{self, CreateRefund, IdempotencyKey, StripeError};

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct RefundOrder {
    /// Whose payment.
    pub user_id: i64,
    /// Which payment.
    pub payment_id: i64,
    /// The payment's currency.
    pub currency: Currency,
    /// How much, more than zero; `None` for all that is left.
    pub amount: Option<Minor>,
    /// Why.
    pub reason: Option<RefundReason>,
}

/// Writes the answer for a refund, as it is stored under the key.
pub type Render<'a> = &'a (dyn Fn(Refund) -> Result<Answer, serde_json::Error> + Send + Sync);

/// Why no refund was made.
#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    /// The user has no such payment.
    #[error("there is no such payment")]
    NoPayment,
    /// Not from this status.
    #[error("A payment that is {0} cannot be refunded.")]
    Impossible(PaymentStatus),
    /// More was asked for than is left, or nothing is.
    #[error("is more than is left of the payment")]
    MoreThanLeft,
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The answer could not be written.
    #[error(transparent)]
    Answer(#[from] serde_json::Error),
}

/// Refunds once per payment and idempotency key. The refusal is the answer of an earlier request with the key, or why there is
/// none.
///
/// # Errors
/// [`RefundError`]: nothing was asked of Stripe, and the key is free for a mended request.
pub async fn refund(
    env: &Env,
    order: &RefundOrder,
    keyed: &IdempotentRequest,
    render: Render<'_>,
) -> Result<Result<Answer, Refusal>, RefundError> {
    let request_fingerprint =
        fingerprint::refund(order.payment_id, order.amount, order.currency, order.reason);
    let work = Work {
        env,
        order,
        keyed,
        render,
        request_fingerprint,
    };
    let asked = match retry_serialization(|| work.begin()).await? {
        Begin::Ask(asked) => *asked,
        Begin::Refused(refusal) => return Ok(Err(refusal)),
    };
    let outcome = ask(env, &asked.payment, &asked.refund).await;
    let answer = retry_serialization(|| work.settle(&asked, &outcome)).await?;
    Ok(if asked.is_repeated {
        Err(replay(answer))
    } else {
        Ok(answer)
    })
}

/// A payment's refunds, newest first, after a position of that order.
///
/// # Errors
/// The database's.
pub async fn list(
    env: &Env,
    payment_id: i64,
    after: Option<(OffsetDateTime, i64)>,
    limit: i64,
) -> Result<Vec<Refund>, sqlx::Error> {
    let mut connection = env.pool.acquire().await?;
    refund::of_payment(&mut connection, payment_id, after, limit).await
}

/// Asks Stripe for a refund that was noted; the same each time it is asked.
pub(super) async fn ask(env: &Env, payment: &Payment, refund: &Refund) -> RefundOutcome {
    let key = refund.idempotency_key.as_deref().map(|key| {
        // A key that no client of ours could have sent is not sent on.
        IdempotencyKey::refund(refund.payment_id, key).ok()
    });
    let (Some(Some(key)), Some(payment_intent)) = (key, &payment.stripe_payment_intent_id) else {
        return RefundOutcome::of(RefundStatus::Pending);
    };
    let request = CreateRefund {
        refund_id: refund.id,
        payment_intent,
        amount: refund.amount.0,
        reason: refund.reason.map_or("", RefundReason::name),
    };
    outcome_of(&env.stripe.create_refund(&request, &key, env.deadline()).await)
}

/// What Stripe's answer means. Whatever is not certain is pending, never failed.
fn outcome_of(answer: &Result<stripe::Refund, StripeError>) -> RefundOutcome {
    let refused = |answer: &stripe::Answer| RefundOutcome {
        code: answer.code.clone(),
        ..RefundOutcome::of(RefundStatus::Failed)
    };
    match answer {
        Ok(found) => of_stripe(found),
        Err(StripeError::Declined(decline)) => refused(&decline.answer),
        Err(StripeError::Refused(refusal)) => refused(&refusal.answer),
        Err(error) => {
            tracing::warn!(%error, "the outcome of a refund at Stripe is unknown");
            RefundOutcome::of(RefundStatus::Pending)
        }
    }
}

/// The outcome that a refund at Stripe stands for.
pub fn of_stripe(found: &stripe::Refund) -> RefundOutcome {
    let code = found.failure_code().map(str::to_owned);
    let status = match found.status {
        stripe::RefundStatus::Succeeded => RefundStatus::Succeeded,
        _ if code.is_some() => RefundStatus::Failed,
        _ => RefundStatus::Pending,
    };
    RefundOutcome {
        status,
        stripe_id: Some(found.id.clone()),
        code,
    }
}

/// One request at work.
struct Work<'a> {
    env: &'a Env,
    order: &'a RefundOrder,
    keyed: &'a IdempotentRequest,
    render: Render<'a>,
    request_fingerprint: String,
}

/// A refund that Stripe is to be asked for.
struct Asked {
    claimed: Claimed,
    payment: Payment,
    refund: Refund,
    /// An earlier request with the key made it.
    is_repeated: bool,
}

enum Begin {
    Ask(Box<Asked>),
    Refused(Refusal),
}

impl Work<'_> {
    /// Claims the key and notes the refund in one transaction, or neither: what is refused leaves the key free.
    async fn begin(&self) -> Result<Begin, RefundError> {
        let mut transaction = self.env.pool.begin().await?;
        self.env
            .ownership
            .hold(&mut transaction, self.order.user_id)
            .await?;
        let begin = self.begin_in(&mut transaction).await;
        match &begin {
            Ok(Begin::Ask(_) | Begin::Refused(Refusal::Replay(_))) => {
                fail_points!("refund.note.commit", transaction.commit().await)?;
            }
            _ => transaction.rollback().await?,
        }
        begin
    }

    async fn begin_in(&self, connection: &mut PgConnection) -> Result<Begin, RefundError> {
        let (env, order) = (self.env, self.order);
        // The payment's lock before the key's, as when the refund is settled.
        let payment = payment::lock_own(connection, order.user_id, order.payment_id).await?;
        let payment = payment.ok_or(RefundError::NoPayment)?;
        let claim_fingerprint = Fingerprint::of_canonical(&self.request_fingerprint);
        let claimed = match self.keyed.claim(connection, &claim_fingerprint).await? {
            Ok(claimed) => claimed,
            Err(refusal) => return Ok(Begin::Refused(refusal)),
        };
        if let Some(earlier) = refund::of_key(connection, payment.id, self.keyed.key()).await? {
            return self.again(connection, claimed, payment, earlier).await;
        }
        if !payment.status.is_refundable() {
            return Err(RefundError::Impossible(payment.status));
        }
        let pending = refund::pending(connection, payment.id).await?;
        let left = left(payment.amount, payment.amount_refunded, pending);
        let amount = order.amount.unwrap_or(left);
        if amount <= Minor::ZERO || amount > left {
            return Err(RefundError::MoreThanLeft);
        }
        let new = NewRefund {
            payment: &payment,
            amount,
            reason: order.reason,
            idempotency_key: self.keyed.key(),
            request_fingerprint: &self.request_fingerprint,
            now: env.now(),
        };
        let refund = refund::insert(connection, &new).await?;
        Ok(Begin::Ask(Box::new(Asked {
            claimed,
            payment,
            refund,
            is_repeated: false,
        })))
    }

    /// What a request comes to whose key made a refund before: here, before its answer was known, or at the monolith.
    async fn again(
        &self,
        connection: &mut PgConnection,
        claimed: Claimed,
        payment: Payment,
        earlier: Refund,
    ) -> Result<Begin, RefundError> {
        if earlier.request_fingerprint.as_deref() != Some(&self.request_fingerprint) {
            return Ok(Begin::Refused(Refusal::Mismatch));
        }
        let (now, lease_start) = (self.env.now(), self.env.lease_start());
        if earlier.status == RefundStatus::Pending {
            if earlier.is_running(lease_start) {
                return Ok(Begin::Refused(Refusal::InProgress));
            }
            // What Stripe has, it need not be asked for; what it may have forgotten, only the job that reconciles looks up.
            let can_be_asked = earlier.stripe_refund_id.is_none() && now - earlier.created_at < REPLAY_WINDOW;
            if can_be_asked && refund::begin_call(connection, earlier.id, lease_start, now).await? {
                return Ok(Begin::Ask(Box::new(Asked {
                    claimed,
                    payment,
                    refund: earlier,
                    is_repeated: true,
                })));
            }
        }
        let answer = self.answer(connection, &claimed, earlier).await?;
        Ok(Begin::Refused(replay(answer)))
    }

    /// Writes the outcome and the answer down in one transaction.
    async fn settle(&self, asked: &Asked, outcome: &RefundOutcome) -> Result<Answer, RefundError> {
        let mut transaction = self.env.pool.begin().await?;
        let settled = settle_in(
            &mut transaction,
            self.env,
            asked.refund.id,
            outcome,
            Reason::Refund,
        );
        let settled = settled.await?.ok_or(sqlx::Error::RowNotFound)?;
        let answer = self.answer(&mut transaction, &asked.claimed, settled).await?;
        fail_points!("refund.settle.commit", transaction.commit().await)?;
        Ok(answer)
    }

    /// The answer that the refund's present state gives, stored under the key once that is decided.
    async fn answer(
        &self,
        connection: &mut PgConnection,
        claimed: &Claimed,
        refund: Refund,
    ) -> Result<Answer, RefundError> {
        let is_pending = refund.status == RefundStatus::Pending;
        let answer = (self.render)(refund)?;
        if is_pending {
            claimed.suspend(connection).await?;
            return Ok(answer);
        }
        match claimed.finish(connection, &answer).await {
            // Whoever took the claim over finds the refund as it is now, and gives the same answer.
            Ok(()) | Err(ClaimError::Lost) => Ok(answer),
            Err(ClaimError::Database(error)) => Err(error.into()),
        }
    }
}

fn replay(answer: Answer) -> Refusal {
    Refusal::Replay(Box::new(answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::{NotSent, Refusal as Refused, Unknown, UnknownReason};

    #[test]
    fn only_what_stripe_surely_refused_has_failed() {
        let refused = StripeError::Refused(Box::new(Refused {
            answer: stripe::Answer {
                status: 400,
                code: Some("charge_already_refunded".to_owned()),
                request_id: None,
            },
            param: None,
        }));
        let outcome = outcome_of(&Err(refused));
        assert_eq!(outcome.status, RefundStatus::Failed);
        assert_eq!(outcome.code.as_deref(), Some("charge_already_refunded"));
        for error in [
            StripeError::NotSent(NotSent::BreakerOpen),
            StripeError::RateLimited(stripe::Answer::default()),
            StripeError::Unauthorized(stripe::Answer::default()),
            StripeError::Unknown(Unknown {
                reason: UnknownReason::KeyReused,
                answer: None,
            }),
        ] {
            let outcome = outcome_of(&Err(error));
            assert_eq!(outcome, RefundOutcome::of(RefundStatus::Pending));
        }
    }
}
