//! The kit's tests: real servers on free ports, a real PostgreSQL and RabbitMQ where they matter.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod auth;
mod config;
mod fixture;
mod health;
mod jobs;
mod limits;
mod pages;
mod problems;
mod process;
mod stop;
mod tasks;
