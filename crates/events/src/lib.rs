//! Domain events as CloudEvents: envelope, payload types, JSON Schemas.
//!
//! This crate holds contracts only, so that any team can depend on it: the envelope is
//! [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md) structured JSON,
//! one module under [`payloads`] holds one event type, and [`Event`] is the closed set of them.
//!
//! What other languages read (JSON Schemas, the AsyncAPI document, Python types) is made from these types by
//! [`generate`] and committed; [`compat`] keeps a change from breaking the consumers of what was released.

pub mod compat;
mod decode_error;
mod envelope;
mod event;
pub mod generate;
pub mod payloads;

pub use decode_error::DecodeError;
pub use envelope::{CONTENT_TYPE, EffectOwner, Envelope};
pub use event::{Event, EventData, EventKind};
