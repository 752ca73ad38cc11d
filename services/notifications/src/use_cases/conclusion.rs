//! What a try leaves behind: the audit row, whether the event is handled, and what others are told.

use banyan_events::{
    EventKind,
    payloads::{Channel, NotificationDelivered, NotificationFailed},
};
use banyan_messaging::outbox::NewEvent;
use time::OffsetDateTime;

use crate::{
    channels::SendError,
    config::DeliverySettings,
    domain::{
        notification::{Status, scrub},
        occasion::Occasion,
    },
    storage::{due::Payload, journal::Entry, session::Opened},
};

/// How a try ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The event is handled: sent, kept for the digest, suppressed, or handled before.
    Done,
    /// Another try may help.
    Again(String),
    /// No try can help.
    Never(String),
}

/// What sending came to.
pub(super) struct Attempt {
    pub(super) channel: Channel,
    pub(super) template_version: Option<i32>,
    pub(super) message_id: Option<String>,
    pub(super) outcome: Result<(), SendError>,
}

/// The audit row of a try at `now`, and how the try ended.
pub(super) fn conclude(
    settings: &DeliverySettings,
    now: OffsetDateTime,
    occasion: &Occasion,
    opened: &Opened,
    attempt: Attempt,
) -> (Entry, Verdict) {
    let entry = Entry {
        attempts: opened.attempts.saturating_add(1),
        template_version: attempt.template_version,
        message_id: attempt.message_id,
        ..base(occasion, Some(opened), attempt.channel)
    };
    let (reason, permanent) = match attempt.outcome {
        Ok(()) => {
            let delivered = NotificationDelivered {
                notification_id: opened.notification_id,
                user_id: occasion.user_id(),
                channel: attempt.channel,
                template: occasion.notice.template.into(),
                event_id: occasion.event_id,
                delivered_at: now,
            };
            let entry = Entry {
                status: Status::Delivered.name(),
                sent_at: Some(now),
                settles: true,
                outgoing: Some(announce(opened.notification_id, delivered).into()),
                ..entry
            };
            return (entry, Verdict::Done);
        }
        Err(SendError::Permanent(reason)) => (scrub(&reason), true),
        Err(SendError::Unreachable(reason) | SendError::Transient(reason)) => (scrub(&reason), false),
    };
    let kept = (!permanent && !occasion.notice.secret).then(|| payload(occasion));
    let entry = Entry {
        error: Some(reason.clone()),
        retryable: !permanent,
        payload: kept,
        ..entry
    };
    if !permanent && !occasion.last_try {
        let entry = Entry {
            status: Status::Queued.name(),
            next_attempt_at: Some(now + settings.overdue_after),
            ..entry
        };
        return (entry, Verdict::Again(reason));
    }
    let failed = NotificationFailed {
        notification_id: opened.notification_id,
        user_id: occasion.user_id(),
        channel: attempt.channel,
        template: occasion.notice.template.into(),
        event_id: occasion.event_id,
        reason: reason.clone(),
        attempts: entry.attempts,
    };
    let entry = Entry {
        status: Status::Failed.name(),
        next_attempt_at: (!permanent).then(|| now + settings.retry_failed_after),
        outgoing: Some(announce(opened.notification_id, failed).into()),
        ..entry
    };
    (
        entry,
        if permanent {
            Verdict::Never(reason)
        } else {
            Verdict::Again(reason)
        },
    )
}

/// An entry about an event, with nothing done yet.
pub(super) fn base(occasion: &Occasion, opened: Option<&Opened>, channel: Channel) -> Entry {
    Entry {
        id: opened.map(|opened| opened.notification_id),
        event_id: occasion.event_id,
        event_type: occasion.notice.kind.name(),
        subject: occasion.subject.clone(),
        sequence: occasion.sequence,
        user_id: occasion.user_id(),
        channel: channel.name(),
        template: occasion.notice.template,
        template_version: None,
        status: Status::Queued.name(),
        attempts: opened.map_or(0, |opened| opened.attempts),
        error: None,
        trace_id: occasion.trace_id.clone(),
        message_id: None,
        payload: None,
        retryable: false,
        digest: false,
        next_attempt_at: None,
        sent_at: None,
        settles: false,
        outgoing: None,
    }
}

pub(super) fn payload(occasion: &Occasion) -> serde_json::Value {
    let payload = Payload {
        subject: occasion.subject.clone(),
        sequence: occasion.sequence,
        data: serde_json::to_value(&occasion.event).unwrap_or_default(),
    };
    serde_json::to_value(payload).unwrap_or_default()
}

/// The event that tells others what became of a notification.
pub(super) fn announce(notification_id: i64, event: impl Into<banyan_events::Event>) -> NewEvent {
    NewEvent::new(format!("notification/{notification_id}"), event)
}

/// The kind of an event by its name in the audit log.
pub(super) fn kind(name: &str) -> Option<EventKind> {
    EventKind::from_name(name)
}
