//! The migration control plane: what moves a domain out of the monolith, and back.
//!
//! So far it drains the monolith's outbox (the role `relay`) and looks after dead events (the verb `dead`).

mod app;
mod config;
mod dead;

pub use app::Cutover;
