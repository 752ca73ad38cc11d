//! The engine against real databases.

mod broken_off;
mod changes;
mod check;
mod only;
mod shop;
mod snapshot;
mod two_ways;
mod validate;
