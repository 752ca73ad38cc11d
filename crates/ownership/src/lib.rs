//! Which of the two sides of a migration acts for a user.
//!
//! A domain that moves by user is served by two systems with a database each, kept in step with a lag. So that nobody is served by both
//! at once, each database says for whom its own side acts, and each request asks there:
//!
//! | it says | what to do |
//! |---|---|
//! | ours | go on |
//! | settling | wait for milliseconds: the user has come over, and what the other side wrote for them has not |
//! | theirs | hand the request over: 421 (RFC 9110, section 15.5.20), which the gateway sends on to the other side |
//!
//! A read asks once ([`only_ours`]). A transaction that begins something asks again and holds the answer until it ends
//! ([`Ownership::hold`]): a decision waits for whoever holds, so after it nothing new begins on the side that gave the user away. What was begun
//! there goes on to its end there, and the other side leaves it alone.
//!
//! Decisions are made by cutover, in both databases: first on the side that gains, which then lets its new users wait; then on the side that
//! loses. When the sync has carried everything from before the decision, the side that gained is told ([`settle`]). A crash in between leaves users
//! waiting, never served twice, and the next start goes on.

mod decision;
mod layer;

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::time::Instant;

pub use decision::{Decision, decide, settle};
pub use layer::only_ours;

/// The tables and functions, for a migration.
pub const OWNERSHIP_SQL: &str = include_str!("../sql/ownership.v1.sql");

/// For [`Ownership::patience`]: longer than any lag that a shift is decided with.
pub const PATIENCE: Duration = Duration::from_secs(5);

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// One of the two systems.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// The monolith.
    Legacy,
    /// The extracted service.
    New,
}

impl Side {
    /// As in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::New => "new",
        }
    }
}

/// What one side goes by.
#[derive(Clone, Copy, Debug)]
pub struct Ownership {
    /// What moves.
    pub domain: &'static str,
    /// By whose positions.
    pub rollout: &'static str,
    /// Who asks.
    pub side: Side,
    /// The location at which the gateway goes on with what is theirs.
    pub hand_over: &'static str,
    /// How long a request waits for its user to settle.
    pub patience: Duration,
}

/// Whether this side acts for a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Seen {
    /// It does.
    Ours,
    /// It will, once what the other side wrote has come over.
    Settling,
    /// The other one does.
    Theirs,
}

impl Ownership {
    /// Whether this side acts for the user; where it is about to, once it does, or after its patience. Nothing keeps it from changing after
    /// that: enough for a read, and before work that ends in [`Ownership::hold`].
    ///
    /// # Errors
    /// The database's.
    pub async fn look(&self, pool: &PgPool, user_id: i64) -> Result<Seen, sqlx::Error> {
        let (until, mut pause) = (Instant::now() + self.patience, FIRST_PAUSE);
        loop {
            let answer: String = sqlx::query_scalar("SELECT ownership_look($1, $2, $3, $4)")
                .bind(self.domain)
                .bind(self.side.name())
                .bind(user_id)
                .bind(self.position(user_id))
                .fetch_one(pool)
                .await?;
            match answer.as_str() {
                "ours" => return Ok(Seen::Ours),
                "settling" if Instant::now() < until => tokio::time::sleep(pause).await,
                "settling" => return Ok(Seen::Settling),
                _ => return Ok(Seen::Theirs),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Makes sure that this side acts for the user until the transaction ends: to be called in each that begins something, before it
    /// writes. Statements that do it by themselves call `ownership_hold` with [`Ownership::position`].
    ///
    /// # Errors
    /// SQLSTATE `BN421` where the other side does, `BN503` where the user is being moved (`banyan_db::classify`); the database's.
    pub async fn hold(&self, transaction: &mut PgConnection, user_id: i64) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT ownership_hold($1, $2, $3, $4)")
            .bind(self.domain)
            .bind(self.side.name())
            .bind(user_id)
            .bind(self.position(user_id))
            .execute(transaction)
            .await?;
        Ok(())
    }

    /// The lowest share in basis points at which the user is the new side's.
    pub fn position(&self, user_id: i64) -> Option<i32> {
        banyan_cohort::position(self.rollout, user_id).map(i32::from)
    }
}
