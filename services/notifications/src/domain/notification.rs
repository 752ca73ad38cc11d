//! Rows of the audit log.

use banyan_events::payloads::Channel;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

/// Where a notification stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not sent yet; it will be tried again, or goes into the digest.
    Queued,
    /// Accepted by its channel.
    Delivered,
    /// Given up.
    Failed,
    /// The monolith sends it.
    SkippedLegacy,
    /// Not sent on purpose: opted out, bouncing address, erased account.
    Suppressed,
}

impl Status {
    const ALL: [Self; 5] = [
        Self::Queued,
        Self::Delivered,
        Self::Failed,
        Self::SkippedLegacy,
        Self::Suppressed,
    ];

    /// Its name in JSON and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::SkippedLegacy => "skipped_legacy",
            Self::Suppressed => "suppressed",
        }
    }

    /// The status with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// A notification as its user sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notification {
    /// Id of the row.
    pub id: i64,
    /// The event that caused it.
    pub event_id: Uuid,
    /// That event's type.
    pub event_type: String,
    /// Channel used.
    pub channel: Channel,
    /// Name of the template.
    pub template: String,
    /// Where it stands.
    pub status: Status,
    /// Tries made.
    pub attempts: i32,
    /// Why the last try failed, or why nothing was sent.
    pub error: Option<String>,
    /// When the row was written, UTC.
    pub created_at: OffsetDateTime,
    /// When the channel accepted it, UTC.
    pub sent_at: Option<OffsetDateTime>,
}

/// The longest error text kept, as the monolith has it.
const MAX_ERROR_CHARS: usize = 300;

/// An error text fit for the audit log: mail servers quote addresses in their answers, and the log holds none.
pub fn scrub(error: &str) -> String {
    let mut text = String::with_capacity(error.len());
    for word in error.split_whitespace() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(if word.contains('@') { "[address]" } else { word });
    }
    if text.chars().count() > MAX_ERROR_CHARS {
        let kept: String = text.chars().take(MAX_ERROR_CHARS - 1).collect();
        return kept + "…";
    }
    text
}

/// The channel with that name.
pub fn channel_from_name(name: &str) -> Option<Channel> {
    [Channel::Email, Channel::Sms, Channel::Webhook]
        .into_iter()
        .find(|channel| channel.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_line_breaks_do_not_reach_the_log() {
        assert_eq!(
            scrub("550 5.1.1 <ada@example.com>:\r\n no such user"),
            "550 5.1.1 [address] no such user"
        );
        assert_eq!(scrub(&"é".repeat(400)).chars().count(), MAX_ERROR_CHARS);
    }

    #[test]
    fn names_are_read_back() {
        for status in Status::ALL {
            assert_eq!(Status::from_name(status.name()), Some(status));
        }
        for channel in [Channel::Email, Channel::Sms, Channel::Webhook] {
            assert_eq!(channel_from_name(channel.name()), Some(channel));
        }
    }
}
