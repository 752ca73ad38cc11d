//! The schema and the SQL of the payments service, against a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not recognised as tests")]

mod begin;
mod constraints;
mod ledger;
mod methods;
mod payments;
mod settle;
mod stage;
mod whose_rows;
