//! One event that may notify somebody, whether it came from the broker or from a job that takes it up again.

use banyan_events::{Envelope, Event};
use uuid::Uuid;

use super::notice::Notice;

/// An event with what its notification needs to know.
#[derive(Clone, Debug)]
pub struct Occasion {
    /// Id of the event.
    pub event_id: Uuid,
    /// The event's subject and its position there, for the inbox.
    pub subject: String,
    /// See `subject`.
    pub sequence: i64,
    /// The payload.
    pub event: Event,
    /// What it sends.
    pub notice: &'static Notice,
    /// Trace that the event belongs to.
    pub trace_id: Option<String>,
    /// No further automatic try comes after this one.
    pub last_try: bool,
}

impl Occasion {
    /// The occasion in an envelope, unless the event sends nothing.
    pub fn of(envelope: &Envelope<Event>, trace_id: Option<String>, last_try: bool) -> Option<Self> {
        Some(Self {
            event_id: envelope.id,
            subject: envelope.subject.clone(),
            sequence: envelope.sequence,
            event: envelope.data.clone(),
            notice: Notice::of(envelope.data.kind())?,
            trace_id,
            last_try,
        })
    }

    /// The user it is for.
    pub fn user_id(&self) -> i64 {
        user_id(&self.event)
    }

    /// The address that the event itself names: it wins over the one on record, because a reset link must go to the address it
    /// was asked for, and a sign-up is the address's first appearance.
    pub fn address(&self) -> Option<&str> {
        match &self.event {
            Event::UserSignup(data) => Some(&data.email),
            Event::UserPasswordReset(data) => Some(&data.email),
            Event::UserEmailVerified(data) => Some(&data.email),
            _ => None,
        }
    }
}

/// The user an event is about; 0 for an event about nobody, which sends nothing.
fn user_id(event: &Event) -> i64 {
    match event {
        Event::PaymentCompleted(data) => data.user_id,
        Event::PaymentFailed(data) => data.user_id,
        Event::PaymentRefunded(data) => data.user_id,
        Event::UserSignup(data) => data.user_id,
        Event::UserPasswordReset(data) => data.user_id,
        Event::UserEmailVerified(data) => data.user_id,
        Event::ReportExportReady(data) => data.user_id,
        _ => 0,
    }
}
