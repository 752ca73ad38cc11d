//! Refunds: money of a payment given back.

use time::OffsetDateTime;

use super::{
    ledger::TransactionKind,
    money::{CurrencyCode, Minor},
    payment::{MAX_FAILURE_CODE, Payment, PaymentStatus},
    text,
};

/// The most characters of Stripe's id of a refund that are kept.
const MAX_STRIPE_ID: usize = 64;
/// What stands for a refusal that Stripe gave no code for.
const REFUSED_WITHOUT_CODE: &str = "refused";

named! {
    /// Where a refund stands.
    RefundStatus {
        /// Asked for; the outcome is not known.
        Pending = "pending",
        /// The money is on its way back.
        Succeeded = "succeeded",
        /// Refused, or it came back.
        Failed = "failed",
    }
}

named! {
    /// Why money is given back, in Stripe's words.
    RefundReason {
        /// Paid twice.
        Duplicate = "duplicate",
        /// Not paid by the cardholder.
        Fraudulent = "fraudulent",
        /// The customer asked for it.
        RequestedByCustomer = "requested_by_customer",
    }
}

impl RefundStatus {
    /// Whether an answer of Stripe's may take a refund from this status to that one. One that succeeded can still fail later: then
    /// the money is ours again.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Pending, Self::Succeeded | Self::Failed) | (Self::Succeeded, Self::Failed)
        )
    }
}

/// What is known of a refund at Stripe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefundOutcome {
    /// How it ended; pending while Stripe has not decided, and while nobody knows.
    pub status: RefundStatus,
    /// Stripe's id, where there is one.
    pub stripe_id: Option<String>,
    /// Why it failed, in Stripe's code.
    pub code: Option<String>,
}

impl RefundOutcome {
    /// An outcome without particulars.
    pub const fn of(status: RefundStatus) -> Self {
        Self {
            status,
            stripe_id: None,
            code: None,
        }
    }
}

/// The status of a payment of which so much was given back. One that is disputed stays so.
pub fn payment_status(payment: &Payment, refunded: Minor) -> PaymentStatus {
    if payment.status == PaymentStatus::Disputed {
        PaymentStatus::Disputed
    } else {
        undisputed_status(payment.amount, refunded)
    }
}

/// The status of a payment of so much, of which so much was given back, that nobody disputes.
pub fn undisputed_status(amount: Minor, refunded: Minor) -> PaymentStatus {
    if refunded == amount {
        PaymentStatus::Refunded
    } else if refunded > Minor::ZERO {
        PaymentStatus::PartiallyRefunded
    } else {
        PaymentStatus::Completed
    }
}

/// What of a payment has neither been given back nor is about to be.
pub const fn left(amount: Minor, refunded: Minor, pending: Minor) -> Minor {
    Minor(amount.0 - refunded.0 - pending.0)
}

/// Money of a payment given back, all or part of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refund {
    /// Id of the row.
    pub id: i64,
    /// The payment.
    pub payment_id: i64,
    /// How much.
    pub amount: Minor,
    /// The payment's currency.
    pub currency: CurrencyCode,
    /// Where it stands.
    pub status: RefundStatus,
    /// Why.
    pub reason: Option<RefundReason>,
    /// The client's key; `None` for one that was made in Stripe's dashboard.
    pub idempotency_key: Option<String>,
    /// SHA-256 of the canonical request in hex.
    pub request_fingerprint: Option<String>,
    /// Stripe's id.
    pub stripe_refund_id: Option<String>,
    /// Why it failed, in Stripe's code.
    pub failure_code: Option<String>,
    /// When Stripe was last asked, UTC.
    pub started_at: Option<OffsetDateTime>,
    /// When that call ended, UTC.
    pub finished_at: Option<OffsetDateTime>,
    /// When it was made, UTC.
    pub created_at: OffsetDateTime,
    /// When it succeeded, UTC.
    pub completed_at: Option<OffsetDateTime>,
}

impl Refund {
    /// The refund as an outcome leaves it, and the movement of money that this is, if it is one. What comes late or twice moves
    /// nothing; the call to Stripe has ended in any case.
    pub fn after(&self, outcome: &RefundOutcome, now: OffsetDateTime) -> (Self, Option<TransactionKind>) {
        let mut after = self.clone();
        after.finished_at = self.finished_at.or(Some(now));
        if after.stripe_refund_id.is_none() {
            after.stripe_refund_id = text(outcome.stripe_id.as_deref(), MAX_STRIPE_ID).map(str::to_owned);
        }
        if !self.status.may_become(outcome.status) {
            return (after, None);
        }
        after.status = outcome.status;
        let moved = match (self.status, outcome.status) {
            (_, RefundStatus::Succeeded) => {
                after.completed_at = Some(now);
                Some(TransactionKind::Refund)
            }
            (before, RefundStatus::Failed) => {
                let code = text(outcome.code.as_deref(), MAX_FAILURE_CODE).unwrap_or(REFUSED_WITHOUT_CODE);
                after.failure_code = Some(code.to_owned());
                (before == RefundStatus::Succeeded).then_some(TransactionKind::RefundFailed)
            }
            (_, RefundStatus::Pending) => None,
        };
        (after, moved)
    }

    /// Whether Stripe can still be at work on it: a call that began before `lease_start` has ended.
    pub fn is_running(&self, lease_start: OffsetDateTime) -> bool {
        self.finished_at.is_none() && self.started_at.is_some_and(|started| started > lease_start)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn payment(status: PaymentStatus) -> Payment {
        Payment {
            id: 7,
            user_id: 42,
            customer_id: 1,
            payment_method_id: None,
            currency: CurrencyCode::new("USD").unwrap(),
            amount: Minor(1000),
            amount_refunded: Minor::ZERO,
            status,
            capture: true,
            amount_authorized: None,
            off_session: false,
            description: None,
            idempotency_key: "k".to_owned(),
            request_fingerprint: None,
            stripe_payment_intent_id: Some("pi_1".to_owned()),
            failure_code: None,
            failure_message: None,
            created_at: NOW,
            updated_at: NOW,
            completed_at: Some(NOW),
        }
    }

    fn refund(status: RefundStatus) -> Refund {
        Refund {
            id: 1,
            payment_id: 7,
            amount: Minor(300),
            currency: CurrencyCode::new("USD").unwrap(),
            status,
            reason: None,
            idempotency_key: Some("k".to_owned()),
            request_fingerprint: None,
            stripe_refund_id: None,
            failure_code: None,
            started_at: Some(NOW),
            finished_at: None,
            created_at: NOW,
            completed_at: None,
        }
    }

    #[test]
    fn refunds_decide_the_status_of_the_payment_unless_it_is_disputed() {
        for (refunded, expected) in [
            (0, PaymentStatus::Completed),
            (1, PaymentStatus::PartiallyRefunded),
            (999, PaymentStatus::PartiallyRefunded),
            (1000, PaymentStatus::Refunded),
        ] {
            let status = |before| payment_status(&payment(before), Minor(refunded));
            assert_eq!(status(PaymentStatus::PartiallyRefunded), expected);
            assert_eq!(status(PaymentStatus::Disputed), PaymentStatus::Disputed);
        }
    }

    #[test]
    fn money_moves_once_there_and_once_back() {
        use RefundStatus::{Failed, Pending, Succeeded};
        for (before, outcome, after, moved) in [
            (Pending, Succeeded, Succeeded, Some(TransactionKind::Refund)),
            (Pending, Failed, Failed, None),
            (Pending, Pending, Pending, None),
            (Succeeded, Succeeded, Succeeded, None),
            (Succeeded, Pending, Succeeded, None),
            (Succeeded, Failed, Failed, Some(TransactionKind::RefundFailed)),
            (Failed, Succeeded, Failed, None),
            (Failed, Failed, Failed, None),
        ] {
            let (refund, booked) = refund(before).after(&RefundOutcome::of(outcome), NOW);
            assert_eq!((refund.status, booked), (after, moved), "{before} {outcome}");
            assert_eq!(refund.finished_at, Some(NOW), "the call has ended");
        }
    }

    #[test]
    fn what_stripe_says_is_kept_once() {
        let named = |id: &str| RefundOutcome {
            stripe_id: Some(id.to_owned()),
            code: Some("insufficient_funds".to_owned()),
            ..RefundOutcome::of(RefundStatus::Failed)
        };
        let (failed, _) = refund(RefundStatus::Pending).after(&named("re_1"), NOW);
        assert_eq!(failed.failure_code.as_deref(), Some("insufficient_funds"));
        let (again, _) = failed.after(&named("re_2"), NOW);
        assert_eq!(again.stripe_refund_id.as_deref(), Some("re_1"));
    }

    #[test]
    fn pending_refunds_count_against_what_is_left() {
        assert_eq!(left(Minor(1000), Minor(300), Minor(700)), Minor::ZERO);
        assert_eq!(left(Minor(1000), Minor(300), Minor(100)), Minor(600));
    }

    #[test]
    fn only_a_failure_follows_a_success() {
        use RefundStatus::{Failed, Pending, Succeeded};
        let allowed = [(Pending, Succeeded), (Pending, Failed), (Succeeded, Failed)];
        for status in RefundStatus::ALL {
            for next in RefundStatus::ALL {
                assert_eq!(
                    status.may_become(*next),
                    allowed.contains(&(*status, *next)),
                    "{status} {next}"
                );
            }
        }
    }
}
