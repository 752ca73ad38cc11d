//! What every service binary shares: configuration, HTTP server, problem+json, auth, health, jobs, shutdown.
//!
//! A service implements [`Service`] and its `main.rs` is one line:
//!
//! ```text
//! fn main() -> std::process::ExitCode {
//!     banyan_service_kit::main::<payments::Payments>()
//! }
//! ```
//!
//! The kit gives it the verbs `serve`, `migrate`, `openapi`, `config` and `completion`; layered configuration that
//! refuses what it does not know ([`config`]); an HTTP server with limits, `/healthz`, `/readyz`, `/metrics` and
//! [problem documents](problem); [the caller's identity](auth); consumer, relay and [jobs] as supervised tasks;
//! and an orderly stop.

pub mod auth;
pub mod body;
mod cli;
pub mod config;
pub mod extract;
mod http;
pub mod jobs;
pub mod page;
mod position;
pub mod problem;
mod run;
mod service;
mod supervise;

pub use cli::main;
pub use jobs::{Job, JobRun};
pub use position::Position;
pub use problem::Problem;
pub use run::{Running, ServeError, start};
pub use service::{App, Context, NoConfig, Role, Service, Task, TaskError};
