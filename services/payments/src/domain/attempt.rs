//! Calls to Stripe for a payment, noted before they are made.

use time::{Duration, OffsetDateTime};

use super::{
    money::Minor,
    payment::{ChargeResult, Reason},
};

/// How long a call is asked for again under its key: Stripe forgets keys after 24 hours
/// (<https://docs.stripe.com/api/idempotent_requests>); an hour less for clocks and delays.
pub const REPLAY_WINDOW: Duration = Duration::hours(23);

/// After this, what Stripe still does not list was never made.
pub const GIVE_UP_AFTER: Duration = Duration::hours(25);

named! {
    /// What Stripe is asked to do with a payment.
    Operation {
        /// Make and confirm a PaymentIntent.
        Charge = "charge",
        /// Take what was reserved.
        Capture = "capture",
        /// Give free what was reserved.
        Cancel = "cancel",
    }
}

named! {
    /// How a call ended.
    AttemptStatus {
        /// It has not ended, or nobody wrote down how.
        Started = "started",
        /// Stripe did what it was asked.
        Succeeded = "succeeded",
        /// Stripe did not; or the call was superseded by another under the same key.
        Declined = "declined",
        /// Nobody knows.
        Unknown = "unknown",
    }
}

impl Operation {
    /// How a call of this operation ended by that result.
    pub const fn ended(self, result: ChargeResult) -> AttemptStatus {
        let done = match (self, result) {
            (_, ChargeResult::Unknown) => return AttemptStatus::Unknown,
            (Self::Capture, result) => matches!(result, ChargeResult::Succeeded),
            (Self::Cancel, result) => matches!(result, ChargeResult::Canceled),
            (Self::Charge, result) => !matches!(result, ChargeResult::Declined),
        };
        if done {
            AttemptStatus::Succeeded
        } else {
            AttemptStatus::Declined
        }
    }

    /// Whether a result, learned for that reason, answers a call of this operation in that status. That the money is still reserved
    /// says nothing of a capture under way, unless it is the answer to it.
    pub fn is_answered(self, status: AttemptStatus, result: ChargeResult, reason: Reason) -> bool {
        match (self, status) {
            (_, AttemptStatus::Succeeded | AttemptStatus::Declined) => false,
            (Self::Charge, status) => status == AttemptStatus::Started,
            (operation, _) => result.is_final() || operation.name() == reason.name(),
        }
    }
}

/// One call to Stripe for a payment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// Id of the row.
    pub id: i64,
    /// What Stripe is asked to do.
    pub operation: Operation,
    /// Of a capture: how much of what is reserved.
    pub amount: Option<Minor>,
    /// How it ended.
    pub status: AttemptStatus,
    /// When it began, UTC.
    pub started_at: OffsetDateTime,
}

/// All calls for one payment, oldest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Calls(pub Vec<Attempt>);

impl Calls {
    /// The capture or cancellation whose outcome is not known.
    pub fn undecided(&self) -> Option<&Attempt> {
        self.0.iter().rfind(|attempt| {
            attempt.operation != Operation::Charge
                && matches!(attempt.status, AttemptStatus::Started | AttemptStatus::Unknown)
        })
    }

    /// Whether a call can still be under way. One that began before `lease_start` has ended, one way or another; one whose
    /// process died too.
    pub fn is_running(&self, lease_start: OffsetDateTime) -> bool {
        self.0
            .iter()
            .any(|attempt| attempt.status == AttemptStatus::Started && attempt.started_at > lease_start)
    }

    /// When Stripe was first asked to do that, UTC: since then it knows the key.
    pub fn first_asked(&self, operation: Operation) -> Option<OffsetDateTime> {
        let first = self.0.iter().find(|attempt| attempt.operation == operation)?;
        Some(first.started_at)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::domain::golden;

    #[test]
    fn only_captures_and_cancellations_without_an_end_are_undecided() {
        let at = datetime!(2026-03-01 12:00 UTC);
        let call = |id, operation, status| Attempt {
            id,
            operation,
            amount: None,
            status,
            started_at: at + Duration::seconds(id),
        };
        let mut calls = Calls(vec![call(1, Operation::Charge, AttemptStatus::Started)]);
        assert_eq!(calls.undecided(), None);
        calls.0.push(call(2, Operation::Capture, AttemptStatus::Declined));
        assert_eq!(calls.undecided(), None);
        calls.0.push(call(3, Operation::Capture, AttemptStatus::Unknown));
        assert_eq!(calls.undecided().map(|call| call.id), Some(3));
        assert_eq!(
            calls.first_asked(Operation::Capture),
            Some(at + Duration::seconds(2))
        );
        assert_eq!(calls.first_asked(Operation::Cancel), None);
        assert!(calls.is_running(at));
        assert!(!calls.is_running(at + Duration::seconds(1)), "that one has ended");
    }

    #[test]
    fn calls_end_as_in_the_monolith() {
        for vector in golden::vectors("attempts") {
            let operation = Operation::from_name(golden::text(&vector, "operation")).unwrap();
            let result = ChargeResult::from_name(golden::text(&vector, "result")).unwrap();
            let status = AttemptStatus::from_name(golden::text(&vector, "status")).unwrap();
            let reason = Reason::from_name(golden::text(&vector, "reason")).unwrap();
            let ended = operation
                .is_answered(status, result, reason)
                .then(|| operation.ended(result).name());
            assert_eq!(ended, vector["ended"].as_str(), "{vector}");
        }
    }

    #[test]
    fn a_call_that_has_ended_is_not_answered_again() {
        for operation in Operation::ALL {
            for result in ChargeResult::ALL {
                for status in [AttemptStatus::Succeeded, AttemptStatus::Declined] {
                    assert!(!operation.is_answered(status, *result, Reason::Capture));
                }
            }
        }
    }
}
