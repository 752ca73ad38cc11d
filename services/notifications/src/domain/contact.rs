//! What the service knows of a user, and how an event changes it.

use banyan_events::{Envelope, Event, payloads::Channel};
use time::OffsetDateTime;

/// How a user is addressed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Contact {
    /// E-mail address. Personal data: never logged.
    pub email: Option<String>,
    /// Name to greet the user by. Personal data: never logged.
    pub display_name: Option<String>,
    /// BCP 47 language tag.
    pub locale: Option<String>,
    /// Channel asked for at sign-up or in the profile.
    pub preferred_channel: Option<Channel>,
    /// The mail server of the address said that it does not exist.
    pub bounced: bool,
    /// The account was erased.
    pub deleted: bool,
}

/// What an event says about a user; a field that it does not speak of is absent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ContactChange {
    /// The user.
    pub user_id: i64,
    /// Position of the event among those of its subject; an older one never overwrites a newer.
    pub sequence: i64,
    /// New address.
    pub email: Option<String>,
    /// The address was proven at that moment.
    pub email_verified_at: Option<OffsetDateTime>,
    /// New name.
    pub display_name: Option<String>,
    /// New language.
    pub locale: Option<String>,
    /// New preferred channel.
    pub preferred_channel: Option<Channel>,
    /// The account was erased at that moment: everything goes.
    pub deleted_at: Option<OffsetDateTime>,
}

impl ContactChange {
    /// What the event says about a user, if anything.
    pub fn from_event(envelope: &Envelope<Event>) -> Option<Self> {
        let base = |user_id| Self {
            user_id,
            sequence: envelope.sequence,
            ..Self::default()
        };
        match &envelope.data {
            Event::UserSignup(data) => Some(Self {
                email: Some(data.email.clone()),
                display_name: Some(data.display_name.clone()),
                locale: Some(data.locale.clone()),
                preferred_channel: Some(data.preferred_channel),
                ..base(data.user_id)
            }),
            Event::UserEmailVerified(data) => Some(Self {
                email: Some(data.email.clone()),
                email_verified_at: Some(data.verified_at),
                ..base(data.user_id)
            }),
            Event::UserProfileUpdated(data) => Some(Self {
                email: data.email.clone(),
                display_name: data.display_name.clone(),
                locale: data.locale.clone(),
                preferred_channel: data.preferred_channel,
                ..base(data.user_id)
            }),
            Event::UserDeleted(data) => Some(Self {
                deleted_at: Some(data.deleted_at),
                ..base(data.user_id)
            }),
            _ => None,
        }
    }
}
