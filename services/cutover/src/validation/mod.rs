//! `cutover validate` and `cutover repair`: whether both sides agree, and mending where they do not.

mod args;
mod compare;
mod repair;
pub(crate) mod schedule;
mod show;

pub(crate) use args::{repair_command, run_repair, run_validate, validate_command};
pub(crate) use compare::{Validator, answer};
pub(crate) use repair::{Repair, Side, Wanted, repair};
