//! `ownership_rule` in one database, and the functions on it.

use crate::guards::{Guard, Guards};

/// A set of users, a bit each: whom the new side acts for by a decision, wherever in the SQL that is said by share or by list.
pub type Users = u8;

/// One more than the highest generation there can be.
pub(crate) const GENERATIONS: usize = 6;

/// One of the two systems.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// The monolith.
    Legacy,
    /// The service.
    New,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Legacy, Self::New];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Legacy => Self::New,
            Self::New => Self::Legacy,
        }
    }

    /// `ownership_side`.
    pub const fn of(new_users: Users, user: u8) -> Self {
        if new_users & (1 << user) != 0 {
            Self::New
        } else {
            Self::Legacy
        }
    }
}

/// `ownership_look`'s answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Seen {
    /// This side acts.
    Ours,
    /// It will.
    Settling,
    /// The other one does.
    Theirs,
}

/// The rows of a domain, by generation: one for each decision since the last that settled. None at all: whoever asks may act.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Rules([Option<Users>; GENERATIONS]);

/// What `ownership_decide` did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decided {
    /// It is written, or was.
    Written,
    /// There is a later one.
    Refused,
}

impl Rules {
    /// The last generation here, 0 before the first.
    pub fn generation(&self) -> u8 {
        self.0.iter().rposition(Option::is_some).map_or(0, index)
    }

    /// Whom the new side acts for by the last decision here.
    pub fn last(&self) -> Users {
        self.0.iter().rev().find_map(|row| *row).unwrap_or(0)
    }

    /// Before the first decision.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// `ownership_look`.
    pub fn look(&self, side: Side, user: u8, guards: Guards) -> Seen {
        if self.is_empty() {
            return Seen::Ours;
        }
        let is_ours = |users: &Users| Side::of(*users, user) == side;
        let mut rows = self.0.iter().flatten();
        let has_settled = if guards.has(Guard::LookAtEveryRow) {
            rows.all(is_ours)
        } else {
            // The oldest, and below the newest.
            rows.next().is_none_or(is_ours)
        };
        if !is_ours(&self.last()) {
            Seen::Theirs
        } else if has_settled || !guards.has(Guard::OwnershipLookSettling) {
            Seen::Ours
        } else {
            Seen::Settling
        }
    }

    /// `ownership_decide`, once nobody holds.
    pub fn decide(&mut self, generation: u8, users: Users, guards: Guards) -> Decided {
        let known = self.generation();
        if self.is_empty() {
            self.0[usize::from(generation) - 1] = Some(0);
        } else if known == generation {
            return Decided::Written;
        } else if known > generation && guards.has(Guard::OlderGenerationRefused) {
            return Decided::Refused;
        }
        let row = &mut self.0[usize::from(generation)];
        if row.is_some() {
            // The primary key, which refuses it without the guard too.
            return Decided::Refused;
        }
        *row = Some(users);
        Decided::Written
    }

    /// `ownership_settle`, which does nothing where the decision is not known.
    pub fn settle(&mut self, generation: u8, guards: Guards) {
        if self.0[usize::from(generation)].is_none() {
            return;
        }
        let before = if guards.has(Guard::OwnershipSettleMeantGeneration) {
            generation
        } else {
            self.generation()
        };
        self.0[..usize::from(before)].fill(None);
    }
}

fn index(position: usize) -> u8 {
    u8::try_from(position).expect("few generations")
}
