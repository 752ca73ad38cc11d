//! One file per use case. A use case owns its transactions; none is open while Stripe is called.

pub mod balance;
mod billing;
pub mod cancel_subscription;
pub mod charge;
pub mod customers;
pub mod erase_user;
mod invoice_payments;
pub mod invoices;
mod outcome;
pub mod payment_methods;
pub mod renew;
pub mod settle;
pub mod subscribe;

use std::sync::Arc;

use banyan_events::EffectOwner;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{config::ChargeConfig, currencies::Currencies, stripe::StripeClient};

pub use outcome::{ask, of_intent, outcome_of};

/// Tells the time, UTC. Passed in, so that tests move it.
pub type Clock = fn() -> OffsetDateTime;

/// What the use cases work with; clones share all of it.
#[derive(Clone, Debug)]
pub struct Env {
    /// The service's database.
    pub pool: PgPool,
    /// Stripe.
    pub stripe: StripeClient,
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

    /// When a call to Stripe that begins now must have ended.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.charge.deadline()
    }
}

/// Who sends the mails of this service's events: the notifications service, whatever share of the monolith's events it has.
/// The monolith's old path hangs on its own code and hears of no event.
pub const EFFECT_OWNER: Option<EffectOwner> = Some(EffectOwner::New);
