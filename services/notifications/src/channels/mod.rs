//! The ways out: SMTP, and signed HTTP for text messages and webhooks.

mod email;
mod gate;
mod guard;
mod http;
mod signature;
mod sms;
mod smtp;
mod webhook;
mod write_behind;

use std::time::Duration;

use banyan_events::payloads::Channel;
use time::OffsetDateTime;
use uuid::Uuid;

pub use email::{EmailChannel, EmailConfig};
pub use gate::GateConfig;
pub use guard::{AddressPolicy, refused};
pub use http::{GuardedClient, HttpConfig, SetupError};
pub use signature::{SigningKey, SigningKeyError};
pub use sms::{SmsChannel, SmsConfig};
pub use smtp::{SmtpConfig, TlsMode};
pub use webhook::{WebhookChannel, WebhookConfig};

use crate::{domain::routing::Target, templates::Rendered};

/// A notification ready to leave.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The event it tells of.
    pub event_id: Uuid,
    /// That event's type.
    pub event_type: &'a str,
    /// The same at every try, so that a receiver can drop a repeated one.
    pub message_id: &'a str,
    /// The rendered texts.
    pub rendered: &'a Rendered,
    /// What a webhook is told: the event's data.
    pub data: &'a serde_json::Value,
    /// The user could have switched it off, so the mail says where.
    pub optional: bool,
    /// Now, UTC.
    pub now: OffsetDateTime,
}

/// Why a notification did not leave.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SendError {
    /// The other side could not be reached, or did not answer in time: another try may help, and the circuit counts it.
    #[error("{0}")]
    Unreachable(String),
    /// The other side answered that another try may help.
    #[error("{0}")]
    Transient(String),
    /// No try can help.
    #[error("{0}")]
    Permanent(String),
}

/// Every channel there is.
#[derive(Debug)]
pub struct Channels {
    /// SMTP.
    pub email: EmailChannel,
    /// Text messages, where a provider is configured.
    pub sms: Option<SmsChannel>,
    /// Webhooks of users.
    pub webhook: WebhookChannel,
}

impl Channels {
    /// Whether that channel can be used at all.
    pub fn has(&self, channel: Channel) -> bool {
        match channel {
            Channel::Email | Channel::Webhook => true,
            Channel::Sms => self.sms.is_some(),
        }
    }

    /// Hands a notification to its channel and waits until that accepted it.
    ///
    /// # Errors
    /// [`SendError`] tells whether another try may help.
    pub async fn send(&self, target: &Target, outgoing: &Outgoing<'_>) -> Result<(), SendError> {
        match (target, &self.sms) {
            (Target::Email(address), _) => self.email.send(address, outgoing).await,
            (Target::Sms(phone), Some(sms)) => sms.send(phone, outgoing).await,
            (Target::Sms(_), None) => Err(SendError::Permanent(
                "no SMS provider is configured ([sms] url)".into(),
            )),
            (Target::Webhook(webhook), _) => self.webhook.send(webhook, outgoing).await,
        }
    }

    /// Ends kept connections politely, within a bound.
    pub async fn close(&self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.email.close()).await;
    }
}
