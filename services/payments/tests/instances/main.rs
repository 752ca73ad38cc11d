//! Several instances of the service, each with all of its roles, on one database: nothing is done twice, and one is exchanged for
//! another under load without a request that fails.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not recognised as tests")]

mod rolling_restart;
mod side_by_side;
mod stage;
