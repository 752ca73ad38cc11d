//! Which channel a notification takes, or why it takes none.

use banyan_events::payloads::Channel;

use super::{contact::Contact, notice::Notice};

/// What a user chose for one category; the default is everything at once by the preferred channel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Choice {
    /// Wanted at all.
    pub enabled: bool,
    /// Channel for this category; absent: the user's preferred one.
    pub channel: Option<Channel>,
    /// Collected into the daily digest.
    pub digest: bool,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            enabled: true,
            channel: None,
            digest: false,
        }
    }
}

/// A user's webhook.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Webhook {
    /// Where to post.
    pub url: String,
    /// What to sign with (`whsec_` and base64). A secret: never logged.
    pub secret: String,
}

/// Devices of a user that a notification may go to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Devices {
    /// Phone number (E.164). Personal data: never logged.
    pub phone: Option<String>,
    /// Webhook.
    pub webhook: Option<Webhook>,
}

/// Where a notification goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// An e-mail address.
    Email(String),
    /// A phone number.
    Sms(String),
    /// A webhook.
    Webhook(Webhook),
}

impl Target {
    /// The channel that reaches it.
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Email(_) => Channel::Email,
            Self::Sms(_) => Channel::Sms,
            Self::Webhook(_) => Channel::Webhook,
        }
    }
}

/// What happens to a notification.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Route {
    /// Send it now.
    Now(Target),
    /// Keep it for the daily digest.
    Digest,
    /// Do not send it; the reason is for the audit log.
    Suppress(&'static str),
    /// Nothing is known of the user yet.
    NoContact,
}

/// Decides. `address` is the one named by the event itself and goes before the contact's.
pub fn route(
    notice: &Notice,
    address: Option<&str>,
    contact: Option<&Contact>,
    choice: &Choice,
    devices: &Devices,
) -> Route {
    if contact.is_some_and(|contact| contact.deleted) {
        return Route::Suppress("the account was erased");
    }
    if !notice.mandatory {
        if !choice.enabled {
            return Route::Suppress("switched off by the user");
        }
        let wanted = choice
            .channel
            .or(contact.and_then(|contact| contact.preferred_channel));
        let device = match wanted {
            Some(Channel::Sms) => devices.phone.clone().map(Target::Sms),
            Some(Channel::Webhook) => devices.webhook.clone().map(Target::Webhook),
            Some(Channel::Email) | None => None,
        };
        if let Some(target) = device {
            return if choice.digest {
                Route::Digest
            } else {
                Route::Now(target)
            };
        }
    }
    let Some(email) = address.or_else(|| contact.and_then(|contact| contact.email.as_deref())) else {
        return Route::NoContact;
    };
    let bounced = contact.is_some_and(|contact| {
        contact.bounced && contact.email.as_deref().is_none_or(|known| known == email)
    });
    if bounced {
        return Route::Suppress("the address bounces");
    }
    if choice.digest && !notice.mandatory {
        return Route::Digest;
    }
    Route::Now(Target::Email(email.to_owned()))
}

#[cfg(test)]
mod tests {
    use banyan_events::EventKind;

    use super::*;

    fn notice(kind: EventKind) -> &'static Notice {
        Notice::of(kind).expect("a notice")
    }

    fn ada() -> Contact {
        Contact {
            email: Some("ada@example.com".into()),
            ..Contact::default()
        }
    }

    fn devices() -> Devices {
        let webhook = Webhook {
            url: "https://hooks.example.com/".into(),
            secret: "whsec_c2VjcmV0".into(),
        };
        Devices {
            phone: Some("+4912345".into()),
            webhook: Some(webhook),
        }
    }

    fn payment(contact: Option<&Contact>, choice: &Choice, devices: &Devices) -> Route {
        route(
            notice(EventKind::PaymentCompleted),
            None,
            contact,
            choice,
            devices,
        )
    }

    #[test]
    fn mail_unless_another_channel_is_wanted_and_there() {
        let by = |channel, devices: &Devices| {
            let choice = Choice {
                channel,
                ..Choice::default()
            };
            match payment(Some(&ada()), &choice, devices) {
                Route::Now(target) => target.channel(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(by(None, &devices()), Channel::Email);
        assert_eq!(by(Some(Channel::Sms), &devices()), Channel::Sms);
        assert_eq!(by(Some(Channel::Webhook), &devices()), Channel::Webhook);
        assert_eq!(by(Some(Channel::Sms), &Devices::default()), Channel::Email);
    }

    #[test]
    fn the_contact_s_channel_counts_where_the_category_names_none() {
        let contact = Contact {
            preferred_channel: Some(Channel::Sms),
            ..ada()
        };
        let route = payment(Some(&contact), &Choice::default(), &devices());
        assert_eq!(route, Route::Now(Target::Sms("+4912345".into())));
    }

    #[test]
    fn mandatory_mail_ignores_the_opt_out_but_not_the_erasure() {
        let off = Choice {
            enabled: false,
            channel: Some(Channel::Sms),
            digest: true,
        };
        let reset = |contact: &Contact| {
            route(
                notice(EventKind::UserPasswordReset),
                Some("new@example.com"),
                Some(contact),
                &off,
                &devices(),
            )
        };
        assert_eq!(reset(&ada()), Route::Now(Target::Email("new@example.com".into())));
        let erased = Contact {
            deleted: true,
            ..Contact::default()
        };
        assert_eq!(reset(&erased), Route::Suppress("the account was erased"));
        assert_eq!(
            payment(Some(&ada()), &off, &devices()),
            Route::Suppress("switched off by the user")
        );
    }

    #[test]
    fn a_bounce_stops_mail_to_that_address_only() {
        let bounced = Contact {
            bounced: true,
            ..ada()
        };
        assert_eq!(
            payment(Some(&bounced), &Choice::default(), &Devices::default()),
            Route::Suppress("the address bounces")
        );
        let other = route(
            notice(EventKind::UserPasswordReset),
            Some("new@example.com"),
            Some(&bounced),
            &Choice::default(),
            &Devices::default(),
        );
        assert_eq!(other, Route::Now(Target::Email("new@example.com".into())));
    }

    #[test]
    fn nobody_known_is_not_a_refusal() {
        assert_eq!(
            payment(None, &Choice::default(), &Devices::default()),
            Route::NoContact
        );
    }

    #[test]
    fn a_digest_is_kept() {
        let choice = Choice {
            digest: true,
            ..Choice::default()
        };
        assert_eq!(payment(Some(&ada()), &choice, &Devices::default()), Route::Digest);
    }
}
