//! The notifications service: tells users what happened, by e-mail, text message or webhook.
//!
//! Events come in ([`consumers`]), the user's address and wishes are looked up ([`storage`]), a template is rendered
//! ([`templates`]), a channel takes it ([`channels`]), and the audit log says what became of it ([`use_cases::deliver`]).

pub mod app;
pub mod channels;
pub mod cli;
pub mod config;
pub mod consumers;
pub mod domain;
pub mod http;
pub mod jobs;
pub mod storage;
pub mod templates;
pub mod use_cases;

pub use app::{Notifications, migrator};
