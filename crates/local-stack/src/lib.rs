//! Starts and stops real PostgreSQL, RabbitMQ, nginx, the monolith and the services natively.
//!
//! Nothing here touches the servers that the machine itself runs: every server has a data directory, a
//! configuration, ports and (where it needs one) an account of its own.
//!
//! - [`postgres`] and [`rabbitmq`] start one private server each, for the stack and for tests.
//! - [`TestServers`] is the pair that all tests of this workspace share.
//! - [`stack`] is the whole local stack: every process of the contracts, brought up, repaired and stopped.
//! - [`process`] starts detached processes and finds them again without ever mistaking a reused pid.

pub mod cargo;
pub mod error;
mod http;
mod jwt_key;
pub mod log_excerpt;
pub mod nginx;
pub mod packages;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod progress;
pub mod python;
pub mod rabbitmq;
pub mod rollouts;
pub mod run_as;
mod secret;
pub mod stack;
mod test_servers;

pub use error::StackError;
pub use test_servers::TestServers;
