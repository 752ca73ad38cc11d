//! Domain events as CloudEvents: envelope, payload types, JSON Schemas.
//!
//! This crate holds contracts only, so that any team can depend on it: the envelope is
//! [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md) structured JSON,
//! one module under [`payloads`] holds one event type, and [`Event`] is the closed set of them.
#![allow(clippy::missing_docs_in_private_items)]

mod envelope;
mod event;
pub mod payloads;

pub use envelope::{CONTENT_TYPE, DecodeError, EffectOwner, Envelope};
pub use event::{Event, EventData, EventKind};
