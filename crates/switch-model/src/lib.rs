//! A model of the switch: who acts for a user while the share of a rollout changes (ADR 11), with everything that can go wrong, small
//! enough that all of it is looked at. `tests/switch.rs` walks through every state there is, and shows for each guard of the real
//! code what falls without it. Whoever changes the SQL of `crates/ownership` or the steps of cutover changes this first.
//!
//! # What is modelled
//!
//! - Two databases with their `ownership_rule` (from before the first decision on), a row of each user that all requests read and write, and
//!   a row of each idempotency key with the payment's state.
//! - Requests: the gateway sends one to either side that any of its configurations, old or new, names; the side looks; it waits, hands over
//!   or goes on to a transaction that holds, and commits. Any of these may take as long as it likes. Retries have the key of an earlier one.
//! - Payments that wait for Stripe, and are finished later by whoever began them.
//! - The sync, a queue of committed transactions in each direction; what it carries is read again when it is carried (ADR 9).
//! - cutover: its record, the decisions on both sides, the gateway, the points in both queues, the settling. It dies and starts anywhere; the
//!   operator decides anything at any moment; the one that was thought dead goes on where it was.
//!
//! # What is left out, and why
//!
//! - *A crash by itself*: one that never goes on is among those that may take as long as they like.
//! - *The end of old workers*: nobody waits for it, so they may live for ever.
//! - *Shares and lists*: a decision is a set of users.
//! - *How PostgreSQL queues locks*: a decision comes when nobody holds. That it does come is `lock_timeout`'s matter and cutover's.
//! - *The sync's own guards* (what is visible, origins, conflicts): ADR 9, tested there. Without its conflicts the switch has to do alone.
//! - *A third cutover*: at the most one that was thought dead is alive.
//! - *Jobs that begin something by themselves*, as renewals do: they go by who began the subscription, and do not ask.
//!
//! # What must hold
//!
//! | property | means |
//! |---|---|
//! | [`ONE_OWNER`] | never do both sides act for a user: say so when asked, or are in a transaction that was told so |
//! | [`NO_LOST_UPDATE`] | a side that acts for a user has everything that was begun for them |
//! | [`NO_DOUBLE_EFFECT`] | a key begins once and takes effect once |
//! | [`SOMEBODY_ANSWERS`] | never do both sides hand a user over, to be sent to and fro |
//! | [`ROLLBACK_POSSIBLE`] | rolled back at any moment, with nothing new after it, *every* way ends with all users the monolith's, settled, all requests answered, both databases the same |
//! | [`NOBODY_STUCK`] | the same of a cutover that starts again and goes on with its record |
//!
//! The last two look at the states in which nothing can happen any more. There is always such an end: in the calm nothing is
//! repeated but handing over, and that stops with [`SOMEBODY_ANSWERS`].
//!
//! # The guards
//!
//! | [`Guard`] | in the code | falls without it |
//! |---|---|---|
//! | `OwnershipHold` | `ownership_hold` in each transaction that begins something | no lost update |
//! | `PgAdvisoryXactLockShared` | `ownership_hold` | one owner |
//! | `PgAdvisoryXactLock` | `ownership_decide` | one owner |
//! | `LookAfterLock` | `ownership_hold` is PL/pgSQL | one owner |
//! | `OwnershipLookSettling` | `ownership_look`, `Ownership::look`, `await_ours` | no lost update |
//! | `OlderGenerationRefused` | `ownership_decide` | nobody stuck |
//! | `LookAtEveryRow` | `ownership_look` | one owner |
//! | `OwnershipSettleMeantGeneration` | `ownership_settle` | one owner |
//! | `GainingSideFirst` | cutover | somebody answers |
//! | `OneWay` | cutover | somebody answers |
//! | `EveryOpenDecision` | cutover | no double effect |
//! | `WaitForSyncPoint` | cutover, before `ownership_settle` | no lost update |
//! | `PointAfterDecisions` | cutover | no lost update |
//! | `SettleBothSides` | cutover | nobody stuck |
//! | `RecordFirst` | cutover | rollback possible |
//! | `PaymentIdempotencyKey` | the constraint `payment_idempotency_key`, `charge::begin`, `_begin` in the monolith | no double effect |
//! | `FirstId` | `Env::first_id`, `own_rows.own` in the monolith | no double effect |
//!
//! Not a guard: that `ownership_decide` does nothing when it is repeated. Without that the primary key would refuse it, and cutover would be
//! told of an error that is none.
//!
//! [`ONE_OWNER`]: properties::ONE_OWNER
//! [`NO_LOST_UPDATE`]: properties::NO_LOST_UPDATE
//! [`NO_DOUBLE_EFFECT`]: properties::NO_DOUBLE_EFFECT
//! [`SOMEBODY_ANSWERS`]: properties::SOMEBODY_ANSWERS
//! [`ROLLBACK_POSSIBLE`]: properties::ROLLBACK_POSSIBLE
//! [`NOBODY_STUCK`]: properties::NOBODY_STUCK

mod actions;
mod guards;
pub mod properties;
mod rules;
mod state;

use stateright::{Model, Property};

pub use actions::{Action, Who};
pub use guards::{Guard, Guards};
pub use rules::{Rules, Seen, Side, Users};
pub use state::{
    Calm, Change, Cutover, Database, Decision, Keys, Open, Payment, Queue, Request, State, Step,
};

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Whose it is.
    pub user: u8,
    /// Its idempotency key; a retry has that of an earlier one.
    pub key: u8,
    /// Whether it waits for Stripe before it takes effect.
    pub waits_for_stripe: bool,
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// The requests.
    pub requests: &'static [Ask],
    /// How many decisions the operator makes, a last rollback not counted.
    pub decisions: u8,
    /// What can be decided.
    pub shares: &'static [Users],
    /// Whether the world calms down at any moment, to see that all comes to an end from there.
    pub calms_down: bool,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Switch {
    size: Size,
    guards: Guards,
}

impl Switch {
    /// With all its guards, or fewer.
    pub const fn new(size: Size, guards: Guards) -> Self {
        Self { size, guards }
    }

    fn ask(&self, number: u8) -> Ask {
        self.size.requests[usize::from(number)]
    }

    fn asks(&self) -> impl Iterator<Item = (usize, Ask)> {
        self.size.requests.iter().copied().enumerate()
    }

    fn user_of(&self, key: u8) -> u8 {
        let ask = self.size.requests.iter().find(|ask| ask.key == key);
        ask.expect("each key is some request's").user
    }

    fn keys_of(&self, user: u8) -> Keys {
        self.asks()
            .filter(|(_, ask)| ask.user == user)
            .fold(0, |keys, (_, ask)| keys | 1 << ask.key)
    }

    const fn guards(&self) -> Guards {
        self.guards
    }
}

impl Model for Switch {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(self.size.requests.len())]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.enabled(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        self.apply(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
