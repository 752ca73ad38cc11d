//! Where mail and traces end up in the local stack and in tests.
//!
//! - [`mail::MailSink`] is an SMTP server that keeps every message, in memory and as Maildir files, and can be told to
//!   reject, delay, hang up or be away.
//! - [`otlp::OtlpSink`] is an OTLP/HTTP collector that keeps every span, in memory and as JSON lines, and shows a trace as
//!   a tree under `GET /traces/{trace id}`.
//!
//! Both speak the real protocol on a real port. The binary `dev-sinks` runs either one.

pub mod mail;
pub mod otlp;
mod wait;

pub use wait::WaitTimeout;
