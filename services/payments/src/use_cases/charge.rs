//! Charging: the payment is committed, then Stripe is called, then the outcome is committed.
//!
//! A crash, a timeout or a lost answer between the two commits leaves the payment `pending`. The next request with the key goes
//! on from there under the same Stripe idempotency key, and so does the job that reconciles; neither can charge twice.

use banyan_idempotency::{Answer, Claimed, Fingerprint, IdempotentRequest, Refusal};
use time::OffsetDateTime;

use super::{EFFECT_OWNER, Env, ask};
use crate::domain::attempt::REPLAY_WINDOW;
use crate::domain::customer::WantedMethod;
use crate::domain::fingerprint;
use crate::domain::money::{Currency, Minor};
use crate::domain::payment::{ChargeResult, Outcome, Payment, PaymentStatus, Reason};
use crate::storage::charge::{self, Begin, Begun, NewCharge, Settlement};
use crate::storage::customer;
use crate::use_cases::customers::{CustomerError, customer_of};
use crate::use_cases::payment_methods::{MethodError, find_or_add};

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Order {
    /// Who pays.
    pub user_id: i64,
    /// How much, more than zero.
    pub amount: Minor,
    /// In which currency.
    pub currency: Currency,
    /// With which card.
    pub method: WantedMethod,
    /// Whether the money is taken at once rather than reserved.
    pub capture: bool,
    /// The client's text; empty for none.
    pub description: String,
}

/// Writes the answer for a payment, as it is stored under the key.
pub type Render<'a> = &'a (dyn Fn(Payment) -> Result<Answer, serde_json::Error> + Send + Sync);

/// Why a charge was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChargeError {
    /// The account was erased.
    #[error("the account is closed")]
    Closed,
    /// The card is not one of the user's.
    #[error("no such payment method")]
    NotYourMethod,
    /// The card that was to be attached on the fly is not usable.
    #[error(transparent)]
    Method(MethodError),
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

/// Charges once per idempotency key. The refusal is the answer of an earlier request with the key, or why there is none.
///
/// # Errors
/// [`ChargeError`]: nothing was charged, and the key is free for a mended request.
pub async fn charge(
    env: &Env,
    order: &Order,
    keyed: &IdempotentRequest,
    render: Render<'_>,
) -> Result<Result<Answer, Refusal>, ChargeError> {
    let request_fingerprint = order.fingerprint();
    let claim_fingerprint = Fingerprint::of_canonical(&request_fingerprint);
    let work = Work {
        env,
        order,
        keyed,
        render,
        request_fingerprint,
    };
    let claim = match &order.method {
        WantedMethod::Id(id) if env.stripe.is_available() => {
            let new = work.new_charge(Some(*id));
            let mut connection = env.pool.acquire().await?;
            charge::claim_and_begin(&mut connection, &new, keyed, &claim_fingerprint).await?
        }
        _ => {
            let mut connection = env.pool.acquire().await?;
            let claimed = keyed.claim(&mut connection, &claim_fingerprint).await?;
            drop(connection);
            match claimed {
                Ok(claimed) => match work.begin_with_card().await {
                    Ok(begin) => Ok((claimed, begin)),
                    Err(error) => return work.refuse(&claimed, error).await,
                },
                Err(refusal) => Err(refusal),
            }
        }
    };
    let (claimed, beginning) = match claim {
        Ok(claim) => claim,
        Err(refusal) => return Ok(Err(refusal)),
    };
    match beginning {
        Begin::Begun(begun) => work.carry_out(&claimed, *begun).await.map(Ok),
        Begin::Exists {
            payment,
            running_since,
        } => work.again(&claimed, *payment, running_since).await.map(Err),
        Begin::Erased => work.refuse(&claimed, ChargeError::Closed).await,
        Begin::NoCustomer | Begin::NoMethod => work.refuse(&claimed, ChargeError::NotYourMethod).await,
    }
}

impl Order {
    /// SHA-256 of the canonical request in hex, the monolith's.
    fn fingerprint(&self) -> String {
        fingerprint::charge(
            self.user_id,
            self.amount,
            self.currency.code,
            &self.method,
            self.capture,
            &self.description,
        )
    }
}

/// One request at work.
struct Work<'a> {
    env: &'a Env,
    order: &'a Order,
    keyed: &'a IdempotentRequest,
    render: Render<'a>,
    request_fingerprint: String,
}

impl Work<'_> {
    fn new_charge(&self, payment_method_id: Option<i64>) -> NewCharge<'_> {
        NewCharge {
            user_id: self.order.user_id,
            idempotency_key: self.keyed.key(),
            request_fingerprint: &self.request_fingerprint,
            payment_method_id,
            currency: self.order.currency.code,
            amount: self.order.amount,
            capture: self.order.capture,
            description: &self.order.description,
            ownership: &self.env.ownership,
            now: self.env.now(),
        }
    }

    /// Begins where Stripe has to be asked for the customer or the card first; the key is claimed.
    async fn begin_with_card(&self) -> Result<Begin, ChargeError> {
        let (env, user_id) = (self.env, self.order.user_id);
        let mut connection = env.pool.acquire().await?;
        if let Some(earlier) = charge::earlier(&mut connection, user_id, self.keyed.key()).await? {
            return Ok(earlier);
        }
        if customer::is_erased(&mut connection, user_id).await? {
            return Ok(Begin::Erased);
        }
        drop(connection);
        if !env.stripe.is_available() {
            return Err(ChargeError::StripeAway);
        }
        let customer = customer_of(env, user_id).await.map_err(|error| match error {
            CustomerError::Stripe(error) => away(&error),
            CustomerError::Database(error) => error.into(),
        })?;
        let method = match &self.order.method {
            WantedMethod::Id(id) => Ok(*id),
            WantedMethod::Stripe(id) => find_or_add(env, &customer, id).await.map(|method| method.id),
        };
        let (method, declined) = match method {
            Ok(id) => (Some(id), None),
            // The bank's refusal is an outcome of the charge, and kept as one.
            Err(MethodError::Declined { code, message }) => (None, Some((code, message))),
            Err(MethodError::Stripe(error)) => return Err(away(&error)),
            Err(MethodError::Database(error)) => return Err(error.into()),
            Err(error @ MethodError::NotUsable(_)) => return Err(ChargeError::Method(error)),
        };
        let mut connection = env.pool.acquire().await?;
        let begin = charge::begin(&mut connection, &self.new_charge(method)).await?;
        if let (Begin::Begun(begun), Some((code, message))) = (&begin, declined) {
            let outcome = Outcome {
                code: Some(code),
                message: Some(message),
                ..Outcome::of(ChargeResult::Declined)
            };
            let settled = self.settlement(&begun.payment, &outcome);
            let payment = charge::settle(&mut connection, &settled).await?;
            let payment = payment.map_or_else(|| begun.payment.clone(), |settled| settled.payment);
            return Ok(Begin::Begun(Box::new(Begun {
                payment,
                ..Begun::clone(begun)
            })));
        }
        Ok(begin)
    }

    /// Asks Stripe, unless the outcome is known already, and writes it down.
    async fn carry_out(&self, claimed: &Claimed, begun: Begun) -> Result<Answer, ChargeError> {
        let Begun {
            payment,
            stripe_customer_id: customer,
            stripe_payment_method_id: Some(method),
        } = begun
        else {
            return self.finish(claimed, begun.payment).await;
        };
        self.ask(claimed, payment, &customer, &method).await
    }

    /// The answer to a request whose key made a payment before.
    async fn again(
        &self,
        claimed: &Claimed,
        payment: Payment,
        running_since: Option<OffsetDateTime>,
    ) -> Result<Refusal, ChargeError> {
        let mut connection = self.env.pool.acquire().await?;
        // The key's own row may be younger than the payment: it was made by the other side, or expired.
        if payment.request_fingerprint.as_deref() != Some(&self.request_fingerprint) {
            claimed.forget(&mut connection).await?;
            return Ok(Refusal::Mismatch);
        }
        if payment.status != PaymentStatus::Pending {
            drop(connection);
            return Ok(replay(self.finish(claimed, payment).await?));
        }
        if payment.id < self.env.first_id {
            // The monolith began it, and finishes it.
            claimed.suspend(&mut connection).await?;
            return Ok(replay((self.render)(payment)?));
        }
        let now = self.env.now();
        let runs_elsewhere =
            !claimed.taken_over() && running_since.is_some_and(|since| now - since < self.env.charge.lease());
        if runs_elsewhere {
            claimed.forget(&mut connection).await?;
            return Ok(Refusal::InProgress);
        }
        let stripe_ids = customer::stripe_ids_of(&mut connection, payment.id).await?;
        let Some((customer, method)) = stripe_ids.filter(|_| now - payment.created_at < REPLAY_WINDOW) else {
            // Stripe has forgotten the key: only looking it up is safe, which the job that reconciles does.
            claimed.suspend(&mut connection).await?;
            return Ok(replay((self.render)(payment)?));
        };
        drop(connection);
        Ok(replay(self.ask(claimed, payment, &customer, &method).await?))
    }

    async fn ask(
        &self,
        claimed: &Claimed,
        payment: Payment,
        customer: &str,
        method: &str,
    ) -> Result<Answer, ChargeError> {
        let env = self.env;
        let outcome = ask(env, &payment, customer, method).await;
        let settlement = self.settlement(&payment, &outcome);
        let mut connection = env.pool.acquire().await?;
        let Some(after) = payment.after(&outcome, settlement.now) else {
            let settled = charge::settle(&mut connection, &settlement).await?;
            claimed.suspend(&mut connection).await?;
            let payment = settled.map_or_else(|| payment.clone(), |settled| settled.payment);
            return Ok((self.render)(payment)?);
        };
        let answer = (self.render)(after)?;
        let settled = charge::settle_and_finish(&mut connection, &settlement, claimed, &answer).await?;
        drop(connection);
        match settled {
            // Where the claim was lost the answer is right all the same: whoever took it over gives the same one.
            Some(settled) if settled.changed => Ok(answer),
            Some(settled) => self.finish(claimed, settled.payment).await,
            None => Err(sqlx::Error::RowNotFound.into()),
        }
    }

    fn settlement<'a>(&self, payment: &'a Payment, outcome: &'a Outcome) -> Settlement<'a> {
        Settlement {
            payment,
            outcome,
            reason: Reason::Charge,
            event_id: (self.env.new_id)(),
            effect_owner: EFFECT_OWNER,
            now: self.env.now(),
        }
    }

    /// The answer that the payment's present state gives, stored under the key once that is decided.
    async fn finish(&self, claimed: &Claimed, payment: Payment) -> Result<Answer, ChargeError> {
        let is_pending = payment.status == PaymentStatus::Pending;
        let answer = (self.render)(payment)?;
        let mut connection = self.env.pool.acquire().await?;
        if is_pending {
            claimed.suspend(&mut connection).await?;
        } else if let Err(error) = claimed.finish(&mut connection, &answer).await {
            // The payment stands; a repetition is answered from it.
            tracing::warn!(%error, "the answer of a charge was not stored");
        }
        Ok(answer)
    }

    /// Frees the key.
    async fn refuse<T>(&self, claimed: &Claimed, error: ChargeError) -> Result<T, ChargeError> {
        claimed.forget(&mut *self.env.pool.acquire().await?).await?;
        Err(error)
    }
}

fn replay(answer: Answer) -> Refusal {
    Refusal::Replay(Box::new(answer))
}

fn away(error: &crate::stripe::StripeError) -> ChargeError {
    tracing::warn!(%error, "Stripe does not answer: nothing was charged");
    ChargeError::StripeAway
}
