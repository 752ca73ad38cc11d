//! Which event becomes which notification.

use banyan_events::EventKind;

use super::category::Category;

/// What a kind of event sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Notice {
    /// The event.
    pub kind: EventKind,
    /// Name of its template.
    pub template: &'static str,
    /// What it counts as in the user's preferences.
    pub category: Category,
    /// Sent whatever the preferences say, and only by e-mail: the user cannot go on without it.
    pub mandatory: bool,
    /// The event carries a single-use secret: its data is never stored here.
    pub secret: bool,
}

/// Template of the daily summary, which no single event causes.
pub const DIGEST_TEMPLATE: &str = "daily-digest";

/// Every notice there is.
pub const NOTICES: &[Notice] = &[
    notice(
        EventKind::PaymentCompleted,
        "payment-completed",
        Category::Payments,
    ),
    notice(EventKind::PaymentFailed, "payment-failed", Category::Payments),
    notice(EventKind::PaymentRefunded, "payment-refunded", Category::Payments),
    Notice {
        mandatory: true,
        secret: true,
        ..notice(EventKind::UserSignup, "user-signup", Category::Account)
    },
    Notice {
        mandatory: true,
        secret: true,
        ..notice(
            EventKind::UserPasswordReset,
            "user-password-reset",
            Category::Account,
        )
    },
    notice(
        EventKind::UserEmailVerified,
        "user-email-verified",
        Category::Account,
    ),
    notice(
        EventKind::ReportExportReady,
        "report-export-ready",
        Category::Reports,
    ),
];

/// The events this service wants: those that send, and those that only tell it about a user.
pub const CONSUMED: &[EventKind] = &[
    EventKind::PaymentCompleted,
    EventKind::PaymentFailed,
    EventKind::PaymentRefunded,
    EventKind::UserSignup,
    EventKind::UserPasswordReset,
    EventKind::UserEmailVerified,
    EventKind::UserProfileUpdated,
    EventKind::UserDeleted,
    EventKind::ReportExportReady,
];

const fn notice(kind: EventKind, template: &'static str, category: Category) -> Notice {
    Notice {
        kind,
        template,
        category,
        mandatory: false,
        secret: false,
    }
}

impl Notice {
    /// The notice of an event, if it sends one.
    pub fn of(kind: EventKind) -> Option<&'static Self> {
        NOTICES.iter().find(|notice| notice.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notice_is_of_a_consumed_event() {
        for notice in NOTICES {
            assert!(
                CONSUMED.contains(&notice.kind),
                "{} is not consumed",
                notice.template
            );
            assert_eq!(Notice::of(notice.kind), Some(notice));
        }
        assert_eq!(Notice::of(EventKind::UserDeleted), None);
    }
}
