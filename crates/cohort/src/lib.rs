//! Who is in a rollout: one decision, the same in nginx's `split_clients`, in Python and here.
//!
//! A user is in the new cohort of rollout R at p basis points (1/100 %) when
//! `murmur2("R:user id") < floor(p * 4294967295 / 10000)`. Whoever is in stays in as p grows. At 10000 everybody is in, also
//! the one hash in four billion that the formula would leave out: nginx spells 100 % as a split with nothing but the rest.
//! Nobody without a positive user id is ever in: anonymous traffic stays on the legacy side.
//!
//! The rule is frozen: `golden.json` beside this crate's sources pins it for all three, and a test asks the real nginx.

mod decision;
mod rules;
mod rules_file;

pub use decision::{FULL, in_cohort, murmur2, position};
pub use rules::{Rollout, Rules, RulesError};
pub use rules_file::RulesFile;
