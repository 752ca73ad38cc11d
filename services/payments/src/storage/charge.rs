//! The two statements of a charge: each one transaction in one round trip, nothing open while Stripe is called.
//!
//! What PostgreSQL does in a round trip more than the work itself (parse, bind, a snapshot, the answer) costs as much as several of the rows
//! written here; eight round trips instead of two cost a third of the throughput. Run outside a transaction each statement commits by itself.

mod begin;
mod settle;

pub use begin::{Begin, Begun, CLAIM_AND_BEGIN, NewCharge, begin, claim_and_begin, earlier};
pub use settle::{SETTLE_AND_FINISH, Settled, Settlement, settle, settle_and_finish};
