//! Refunds: money of a payment given back.

use time::OffsetDateTime;

use super::{
    money::{CurrencyCode, Minor},
    payment::PaymentStatus,
};

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

/// The status that refunds give a payment that is not disputed.
pub fn payment_status(amount: Minor, refunded: Minor) -> PaymentStatus {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refunds_decide_the_status_of_the_payment() {
        for (refunded, expected) in [
            (0, PaymentStatus::Completed),
            (1, PaymentStatus::PartiallyRefunded),
            (999, PaymentStatus::PartiallyRefunded),
            (1000, PaymentStatus::Refunded),
        ] {
            assert_eq!(payment_status(Minor(1000), Minor(refunded)), expected);
        }
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
