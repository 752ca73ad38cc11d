//! Tests of the whole road: real Django, PostgreSQL, RabbitMQ, nginx and the service binaries, killed and watched.

pub mod programs;
pub mod publisher;
pub mod road;
pub mod stack;
