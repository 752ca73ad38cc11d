//! `cutover sync`: keeping a domain's tables in step.
//!
//! Operators give orders, which are rows of cutover's database; processes of the role `sync` see to them ([`runner`]). How far a sync
//! is, its two databases know themselves.

mod args;
mod orders;
pub(crate) mod runner;
mod show;

pub(crate) use args::{command, run, ways};
pub(crate) use orders::{check, pause, resolve, resume, start, state};
pub(crate) use show::told;
