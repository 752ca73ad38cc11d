//! One module per event type. Amounts are integers in minor units; field names are camelCase on the wire.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, macros::datetime};

/// `Debug` that leaves personal data and secrets out, so that a payload in a log line or a panic gives nothing away.
macro_rules! debug_redacted {
    ($type:ident { $($shown:ident),* } hides { $($hidden:ident),* }) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                // Destructured so that a new field has to be put on one side or the other.
                let Self { $($shown,)* $($hidden: _,)* } = self;
                formatter
                    .debug_struct(stringify!($type))
                    $(.field(stringify!($shown), $shown))*
                    $(.field(stringify!($hidden), &format_args!("[redacted]")))*
                    .finish()
            }
        }
    };
}

mod migration_alert;
mod migration_phase_changed;
mod notification_delivered;
mod notification_failed;
mod payment_completed;
mod payment_disputed;
mod payment_failed;
mod payment_refunded;
mod payout_paid;
mod report_export_ready;
mod subscription_renewed;
mod user_deleted;
mod user_email_verified;
mod user_password_reset;
mod user_profile_updated;
mod user_signup;

pub use migration_alert::MigrationAlert;
pub use migration_phase_changed::MigrationPhaseChanged;
pub use notification_delivered::NotificationDelivered;
pub use notification_failed::NotificationFailed;
pub use payment_completed::PaymentCompleted;
pub use payment_disputed::PaymentDisputed;
pub use payment_failed::PaymentFailed;
pub use payment_refunded::PaymentRefunded;
pub use payout_paid::PayoutPaid;
pub use report_export_ready::ReportExportReady;
pub use subscription_renewed::SubscriptionRenewed;
pub use user_deleted::UserDeleted;
pub use user_email_verified::UserEmailVerified;
pub use user_password_reset::UserPasswordReset;
pub use user_profile_updated::UserProfileUpdated;
pub use user_signup::UserSignup;

/// The moment that every sample carries.
const SAMPLE_TIME: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

/// How a user is reached.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Channel {
    /// SMTP.
    Email,
    /// Text message.
    Sms,
    /// Signed HTTP POST.
    Webhook,
}

impl Channel {
    /// The channel's name on the wire and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Webhook => "webhook",
        }
    }
}

/// Schema of a time: RFC 3339 text.
pub(crate) struct Rfc3339;

/// Schema of a UUID: its text.
pub(crate) struct UuidText;

macro_rules! text_schema {
    ($type:ident, $format:literal) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $format.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format })
            }
        }
    };
}

text_schema!(Rfc3339, "date-time");
text_schema!(UuidText, "uuid");
