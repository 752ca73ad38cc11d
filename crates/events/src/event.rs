//! The closed set of event types.

use serde::{Serialize, de::DeserializeOwned};

use crate::{DecodeError, decode_error::excerpt, payloads};

/// What every payload type knows about itself.
pub trait EventData: Serialize + DeserializeOwned + schemars::JsonSchema {
    /// Its event type.
    const KIND: EventKind;
    /// A made-up instance with every field filled in: templates are rendered against it, fixtures are made of it.
    fn sample() -> Self;
}

macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident = $name:literal v $major:literal;)*) => {
        /// An event type with its major version.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum EventKind { $($(#[$doc])* $variant,)* }

        impl EventKind {
            /// Every event type there is.
            pub const ALL: &[EventKind] = &[$(EventKind::$variant,)*];

            /// The type's name, which is the CloudEvents `type` and the AMQP routing key.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The major version of the payload this build writes and reads.
            pub const fn major(self) -> u32 {
                match self { $(Self::$variant => $major,)* }
            }

            /// JSON Schema (draft 2020-12) of the payload.
            pub fn schema(self) -> schemars::Schema {
                match self { $(Self::$variant => schemars::schema_for!(payloads::$variant),)* }
            }

            /// The payload's made-up sample.
            pub fn sample(self) -> Event {
                match self { $(Self::$variant => Event::$variant(payloads::$variant::sample()),)* }
            }
        }

        /// A payload whose type has been read.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Event { $($(#[$doc])* $variant(payloads::$variant),)* }

        impl Event {
            /// The type of this payload.
            pub const fn kind(&self) -> EventKind {
                match self { $(Self::$variant(_) => EventKind::$variant,)* }
            }

            fn from_kind(kind: EventKind, data: &serde_json::Value) -> Result<Self, DecodeError> {
                match kind { $(EventKind::$variant => payload(kind, data).map(Self::$variant),)* }
            }
        }

        $(impl From<payloads::$variant> for Event {
            fn from(payload: payloads::$variant) -> Self { Self::$variant(payload) }
        })*
    };
}

events! {
    /// Money has been taken.
    PaymentCompleted = "payment.completed" v 1;
    /// A charge was declined for good.
    PaymentFailed = "payment.failed" v 1;
    /// Money, or part of it, has been given back.
    PaymentRefunded = "payment.refunded" v 1;
    /// The cardholder disputes a payment.
    PaymentDisputed = "payment.disputed" v 1;
    /// A payout reached the bank.
    PayoutPaid = "payout.paid" v 1;
    /// A subscription was renewed and paid.
    SubscriptionRenewed = "subscription.renewed" v 1;
    /// An account was created.
    UserSignup = "user.signup" v 1;
    /// A password reset was asked for.
    UserPasswordReset = "user.password-reset" v 1;
    /// An e-mail address was proven.
    UserEmailVerified = "user.email-verified" v 1;
    /// Profile fields changed.
    UserProfileUpdated = "user.profile-updated" v 1;
    /// An account was erased.
    UserDeleted = "user.deleted" v 1;
    /// A notification was accepted by its channel.
    NotificationDelivered = "notification.delivered" v 1;
    /// A notification was given up.
    NotificationFailed = "notification.failed" v 1;
    /// An export can be downloaded.
    ReportExportReady = "report.export-ready" v 1;
    /// A domain moved to another phase or share.
    MigrationPhaseChanged = "migration.phase-changed" v 1;
    /// Validation found the two databases apart.
    MigrationAlert = "migration.alert" v 1;
}

impl EventKind {
    /// `urn:banyan:events:<type>:<major>`, the CloudEvents `dataschema`.
    pub fn dataschema(self) -> String {
        format!("urn:banyan:events:{}:{}", self.name(), self.major())
    }

    /// The kind with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl Event {
    /// Reads a payload by its type and schema.
    ///
    /// # Errors
    /// [`DecodeError`]: unknown type, unknown major version, or the field that does not fit.
    pub fn decode(name: &str, dataschema: &str, data: &serde_json::Value) -> Result<Self, DecodeError> {
        let kind = EventKind::from_name(name).ok_or_else(|| DecodeError::UnknownType(excerpt(name)))?;
        if dataschema != kind.dataschema() {
            return Err(DecodeError::UnknownVersion {
                kind: name.into(),
                found: excerpt(dataschema),
                expected: kind.dataschema(),
            });
        }
        Self::from_kind(kind, data)
    }
}

fn payload<T: EventData>(kind: EventKind, data: &serde_json::Value) -> Result<T, DecodeError> {
    serde_path_to_error::deserialize(data).map_err(|error| DecodeError::data(kind.name(), &error))
}
