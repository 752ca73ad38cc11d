//! One file per use case. A use case owns its transactions; none is open while Stripe is called.

pub mod adopt_refund;
pub mod balance;
mod billing;
pub mod cancel;
pub mod cancel_subscription;
pub mod capture;
pub mod change;
pub mod charge;
pub mod customers;
pub mod erase_user;
mod invoice_payments;
pub mod invoices;
mod outcome;
pub mod payment_methods;
pub mod payments;
pub mod payouts;
pub mod reconcile;
pub mod refund;
pub mod renew;
pub mod settle;
pub mod settle_refund;
pub mod subscribe;
pub mod tie_out;
pub mod webhooks;

use std::sync::Arc;

use banyan_events::EffectOwner;
use banyan_ownership::{Ownership, PATIENCE, Side};
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{config::ChargeConfig, currencies::Currencies, monolith::Monolith, stripe::StripeClient};

pub use outcome::{ask, of_intent, outcome_of, outcome_of_change};

/// Tells the time, UTC. Passed in, so that tests move it.
pub type Clock = fn() -> OffsetDateTime;

/// What the use cases work with; clones share all of it.
#[derive(Clone, Debug)]
pub struct Env {
    /// The service's database.
    pub pool: PgPool,
    /// Stripe.
    pub stripe: StripeClient,
    /// The monolith, while payments move from it.
    pub monolith: Option<Monolith>,
    /// Which users are this service's, while they move from the monolith.
    pub ownership: Ownership,
    /// Jobs leave rows before this one to the monolith, which works off what it began.
    pub first_id: i64,
    /// The currencies, kept in memory.
    pub currencies: Arc<Currencies>,
    /// `[charge]`
    pub charge: ChargeConfig,
    /// The time.
    pub clock: Clock,
    /// Makes a UUIDv7.
    pub new_id: fn() -> Uuid,
}

impl Env {
    /// Now, UTC, to the microsecond: as PostgreSQL keeps it.
    pub fn now(&self) -> OffsetDateTime {
        let now = (self.clock)();
        now.replace_nanosecond(now.nanosecond() / 1000 * 1000)
            .unwrap_or(now)
    }

    /// A call to Stripe that began before this has ended, one way or another; one whose process died too. UTC.
    pub fn lease_start(&self) -> OffsetDateTime {
        self.now() - self.charge.lease()
    }

    /// When a call to Stripe that begins now must have ended.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.charge.deadline()
    }
}

/// Users move by the rollout of this name, and what is the monolith's goes on at its location of the gateway.
pub const OWNERSHIP: Ownership = Ownership {
    domain: "payments",
    rollout: "payments",
    side: Side::New,
    hand_over: "@legacy",
    patience: PATIENCE,
};

/// Who sends the mails of this service's events: the notifications service, whatever share of the monolith's events it has.
/// The monolith's old path hangs on its own code and hears of no event.
pub const EFFECT_OWNER: Option<EffectOwner> = Some(EffectOwner::New);
