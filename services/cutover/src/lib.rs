//! The migration control plane: what moves a domain out of the monolith, and back.
//!
//! It keeps the tables of both sides in step (`sync`; the engine is `banyan-table-sync`), compares them and mends what
//! differs (`validation`), drains the monolith's outbox (the role `relay`) and looks after dead events (`dead`). Each is a verb of the
//! command line and, but for the last two, part of the HTTP API (`api`).

mod api;
mod app;
mod config;
mod dead;
mod domains;
mod error;
mod operator;
mod storage;
mod sync;
mod validation;

pub use app::Cutover;
