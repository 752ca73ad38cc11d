//! Where mail and traces end up in the local stack and in tests, and what stands before its Stripe.
//!
//! - [`mail::MailSink`] is an SMTP server that keeps every message, in memory and as Maildir files, and can be told to
//!   reject, delay, hang up or be away.
//! - [`otlp::OtlpSink`] is an OTLP/HTTP collector that keeps every span, in memory and as JSON lines, and shows a trace as
//!   a tree under `GET /traces/{trace id}`.
//! - [`stripe::StripeFront`] is a reverse proxy before localstripe that honours idempotency keys, signs webhooks and makes
//!   things go wrong when told to.
//!
//! All speak the real protocol on a real port. The binary `dev-sinks` runs any of them.

pub mod mail;
pub mod otlp;
pub mod stripe;
mod wait;

pub use wait::WaitTimeout;
