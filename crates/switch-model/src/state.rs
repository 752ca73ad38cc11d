//! Everything that there is at one moment. Small and flat, as millions of these are kept.

use crate::guards::Guards;
use crate::rules::{Rules, Seen, Side, Users};

/// How many users there are.
pub(crate) const USERS: usize = 2;
const EVERYBODY: Users = (1 << USERS) - 1;
/// How many idempotency keys there are at the most.
pub(crate) const KEYS: usize = 4;
/// How many requests there are at the most; some repeat a key.
pub(crate) const REQUESTS: usize = 5;

/// A set of idempotency keys, a bit each.
pub type Keys = u8;

/// Everything.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct State {
    /// The databases, by [`Side`].
    pub sides: [Database; 2],
    /// What the sync has still to carry, by the side that it comes from.
    pub queues: [Queue; 2],
    /// Whom the gateway may send where, by [`Side`]: by the configuration that serves, or an old worker with an earlier one. They live as
    /// long as they like, so nobody is ever taken out.
    pub gateway: [Users; 2],
    /// cutover's record of its last decision.
    pub record: Decision,
    /// What the sides may go by until both know the last decision: that one and all since the last that both knew.
    pub open: Open,
    /// cutover, where it has something to do.
    pub cutover: Option<Cutover>,
    /// A cutover that was thought dead.
    pub zombie: Option<Cutover>,
    /// The requests, by number.
    pub requests: [Request; REQUESTS],
    /// Keys that have begun.
    pub begun: Keys,
    /// Keys that took effect.
    pub finished: Keys,
    /// Keys that began or took effect once more.
    pub twice: Keys,
    /// Whether the world has calmed down.
    pub calm: Calm,
}

/// One side's database.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Database {
    /// `ownership_rule`.
    pub rules: Rules,
    /// A row for each user, such as a customer or a balance, that every request of the user reads and writes: the keys that it shows.
    pub users: [Keys; USERS],
    /// A row for each key.
    pub payments: [Payment; KEYS],
}

/// The payment of a key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Payment {
    /// There is none.
    None,
    /// It waits for Stripe.
    Pending(Side),
    /// It took effect.
    Done(Side),
}

/// A decision of cutover's.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Decision {
    /// Its number.
    pub generation: u8,
    /// Whom the new side acts for.
    pub users: Users,
    /// The side that decides first.
    pub first: Side,
}

/// Of some decisions, whom all of them give the new side and whom any does.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Open {
    /// All.
    pub all: Users,
    /// Any.
    pub any: Users,
}

/// A cutover that carries a decision out.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Cutover {
    /// Which.
    pub decision: Decision,
    /// What it does next.
    pub step: Step,
    /// How much the sync has to carry yet before this cutover goes on, by the side that it comes from.
    pub points: [u8; 2],
}

/// What a cutover does next.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Step {
    /// Decides on the first side.
    DecideFirst,
    /// Decides on the second.
    DecideSecond,
    /// Has the gateway reloaded. Nobody waits for its old workers.
    Gateway,
    /// Settles a side once the sync has passed the point.
    Settle(Side),
}

/// Where a request is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Request {
    /// With the client, who sends it or sends it again.
    Unsent,
    /// At a side that has not said that it acts for the user: just handed over, or waiting.
    At(Side),
    /// At a side that said so.
    Seen(Side),
    /// In an open transaction.
    Holding(Side),
    /// Answered.
    Done,
}

/// A transaction as the sync sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Wrote the user's row and the key's.
    Begun(u8),
    /// Wrote the key's row.
    Finished(u8),
}

/// Committed transactions, the oldest first: four bits each, from the lowest on, and none is 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Queue(u64);

/// From some moment on nothing new happens, and what there is has to come to an end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Calm {
    /// Not yet.
    No,
    /// cutover started once more and goes on with its record.
    GoOn,
    /// The operator rolled back.
    RollBack,
}

impl Queue {
    /// A transaction commits.
    pub fn push(&mut self, change: Change) {
        let code = match change {
            Change::Begun(key) => 1 + key,
            Change::Finished(key) => 8 + key,
        };
        self.0 |= u64::from(code) << (4 * u32::from(self.len()));
    }

    /// The oldest is carried.
    pub fn pop(&mut self) -> Option<Change> {
        let code = u8::try_from(self.0 & 0xF).expect("four bits");
        self.0 >>= 4;
        match code {
            0 => None,
            1..8 => Some(Change::Begun(code - 1)),
            _ => Some(Change::Finished(code - 8)),
        }
    }

    /// How many there are.
    pub fn len(self) -> u8 {
        let bits = u64::BITS - self.0.leading_zeros();
        u8::try_from(bits.div_ceil(4)).expect("at most 16")
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl State {
    /// Before the first decision: no rules anywhere, and the gateway knows the monolith alone.
    pub fn first(requests: usize) -> Self {
        let database = Database {
            rules: Rules::default(),
            users: [0; USERS],
            payments: [Payment::None; KEYS],
        };
        Self {
            sides: [database.clone(), database],
            queues: [Queue::default(); 2],
            gateway: [EVERYBODY, 0],
            record: Decision {
                generation: 0,
                users: 0,
                first: Side::Legacy,
            },
            open: Open { all: 0, any: 0 },
            cutover: None,
            zombie: None,
            requests: std::array::from_fn(|number| {
                if number < requests {
                    Request::Unsent
                } else {
                    Request::Done
                }
            }),
            begun: 0,
            finished: 0,
            twice: 0,
            calm: Calm::No,
        }
    }

    /// A side's database.
    pub fn at(&self, side: Side) -> &Database {
        &self.sides[side as usize]
    }

    /// The same, to be written.
    pub fn at_mut(&mut self, side: Side) -> &mut Database {
        &mut self.sides[side as usize]
    }

    /// `ownership_look` on a side.
    pub fn look(&self, side: Side, user: u8, guards: Guards) -> Seen {
        self.at(side).rules.look(side, user, guards)
    }

    /// The gateway serves a configuration.
    pub fn reload(&mut self, new_users: Users) {
        self.gateway[Side::New as usize] |= new_users;
        self.gateway[Side::Legacy as usize] |= EVERYBODY & !new_users;
    }

    /// Whether a worker of the gateway's sends a user to a side.
    pub fn routes(&self, side: Side, user: u8) -> bool {
        self.gateway[side as usize] & (1 << user) != 0
    }
}
