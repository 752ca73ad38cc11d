//! Payments: where one stands, and what Stripe's answers make of it.

use time::OffsetDateTime;

use super::money::{CurrencyCode, Minor};
use super::text;

/// The most characters of what Stripe says that are kept.
pub const MAX_INTENT_ID: usize = 64;
/// The same, of the code of a failure.
pub const MAX_FAILURE_CODE: usize = 64;
/// The same, of its message.
pub const MAX_FAILURE_MESSAGE: usize = 300;
/// What stands for a decline that Stripe gave no code for.
pub const DECLINED_WITHOUT_CODE: &str = "card_declined";

named! {
    /// Where a payment stands.
    PaymentStatus {
        /// Asked for; the outcome is not known.
        Pending = "pending",
        /// The cardholder has to confirm.
        RequiresAction = "requires_action",
        /// The money is reserved.
        RequiresCapture = "requires_capture",
        /// The money was taken.
        Completed = "completed",
        /// Declined.
        Failed = "failed",
        /// Given up before any money was taken.
        Canceled = "canceled",
        /// All of it was given back.
        Refunded = "refunded",
        /// A part of it was given back.
        PartiallyRefunded = "partially_refunded",
        /// A dispute is open, or was lost.
        Disputed = "disputed",
    }
}

named! {
    /// How a call to Stripe for a payment ended.
    ChargeResult {
        /// The money was taken.
        Succeeded = "succeeded",
        /// The cardholder has to confirm.
        RequiresAction = "requires_action",
        /// The money is reserved.
        RequiresCapture = "requires_capture",
        /// The PaymentIntent was canceled.
        Canceled = "canceled",
        /// Refused; a retry would not change it.
        Declined = "declined",
        /// Stripe may or may not have acted: a timeout, a lost connection, a 5xx. Never taken for a failure.
        Unknown = "unknown",
    }
}

named! {
    /// Why a payment's status changed, or what asked for the call that a result answers.
    Reason {
        /// The client's charge.
        Charge = "charge",
        /// The client's capture.
        Capture = "capture",
        /// The client's cancellation.
        Cancel = "cancel",
        /// The first payment of an invoice was noted.
        Invoice = "invoice",
        /// The client's subscription.
        Subscribe = "subscribe",
        /// The job that renews subscriptions.
        Renewal = "renewal",
        /// The job that finds out what became of payments.
        Reconcile = "reconcile",
        /// Stripe told.
        Webhook = "webhook",
        /// A refund.
        Refund = "refund",
        /// A dispute.
        Dispute = "dispute",
    }
}

impl ChargeResult {
    /// The status that the result gives a payment; `None` while it is unknown.
    pub const fn status(self) -> Option<PaymentStatus> {
        match self {
            Self::Succeeded => Some(PaymentStatus::Completed),
            Self::RequiresAction => Some(PaymentStatus::RequiresAction),
            Self::RequiresCapture => Some(PaymentStatus::RequiresCapture),
            Self::Canceled => Some(PaymentStatus::Canceled),
            Self::Declined => Some(PaymentStatus::Failed),
            Self::Unknown => None,
        }
    }

    /// Whether the PaymentIntent can change no more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Canceled)
    }
}

impl PaymentStatus {
    /// Asked for but not decided: Stripe has not answered, the cardholder has not, or nobody has captured yet.
    pub const UNDECIDED: [Self; 3] = [Self::Pending, Self::RequiresAction, Self::RequiresCapture];

    /// Whether Stripe's answers may take a payment from this status to that one. What comes late or twice changes nothing; a payment
    /// that failed for us but was charged after all is completed, because Stripe has the money.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(
                next,
                Self::Completed
                    | Self::RequiresAction
                    | Self::RequiresCapture
                    | Self::Canceled
                    | Self::Failed
            ),
            Self::RequiresAction => matches!(
                next,
                Self::Completed | Self::RequiresCapture | Self::Canceled | Self::Failed
            ),
            Self::RequiresCapture => matches!(next, Self::Completed | Self::Canceled),
            Self::Failed => matches!(next, Self::Completed),
            Self::Completed | Self::Canceled | Self::Refunded | Self::PartiallyRefunded | Self::Disputed => {
                false
            }
        }
    }

    /// The statuses from which Stripe's answers may lead to this one.
    pub fn predecessors(self) -> impl Iterator<Item = Self> {
        Self::ALL
            .iter()
            .copied()
            .filter(move |status| status.may_become(self))
    }

    /// Whether a payment in this status can be canceled.
    pub const fn is_cancelable(self) -> bool {
        matches!(self, Self::RequiresCapture | Self::RequiresAction)
    }

    /// Whether money of a payment in this status can be given back.
    pub const fn is_refundable(self) -> bool {
        matches!(self, Self::Completed | Self::PartiallyRefunded)
    }
}

/// What is known of a charge, a capture or a cancellation at Stripe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub result: ChargeResult,
    /// Stripe's id of the PaymentIntent, where there is one.
    pub intent_id: Option<String>,
    /// Stripe's code of a decline, or the kind of an error.
    pub code: Option<String>,
    /// What the user may be told about a decline.
    pub message: Option<String>,
    /// What Stripe took, where it says so: less than was reserved after a partial capture.
    pub received: Option<Minor>,
}

impl Outcome {
    /// A result without particulars.
    pub const fn of(result: ChargeResult) -> Self {
        Self {
            result,
            intent_id: None,
            code: None,
            message: None,
            received: None,
        }
    }
}

/// One charge of a user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Payment {
    /// Id of the row.
    pub id: i64,
    /// The user who pays.
    pub user_id: i64,
    /// The user's customer.
    pub customer_id: i64,
    /// The card; `None` where Stripe refused it before it was the customer's.
    pub payment_method_id: Option<i64>,
    /// Currency of every amount here.
    pub currency: CurrencyCode,
    /// What is asked for; after a capture, what was captured.
    pub amount: Minor,
    /// What was given back.
    pub amount_refunded: Minor,
    /// Where it stands.
    pub status: PaymentStatus,
    /// Whether the money is taken at once rather than reserved.
    pub capture: bool,
    /// What was reserved.
    pub amount_authorized: Option<Minor>,
    /// The cardholder is not there to be asked.
    pub off_session: bool,
    /// The client's text.
    pub description: Option<String>,
    /// The client's key, or one made for an invoice.
    pub idempotency_key: String,
    /// SHA-256 of the canonical request in hex; `None` for the payment of an invoice.
    pub request_fingerprint: Option<String>,
    /// Stripe's id.
    pub stripe_payment_intent_id: Option<String>,
    /// Why it failed, in Stripe's code.
    pub failure_code: Option<String>,
    /// Why it failed, as the user may be told.
    pub failure_message: Option<String>,
    /// When it was made, UTC.
    pub created_at: OffsetDateTime,
    /// When its row changed last, UTC.
    pub updated_at: OffsetDateTime,
    /// When the money was taken, UTC.
    pub completed_at: Option<OffsetDateTime>,
}

impl Payment {
    /// The payment as an outcome leaves it that nobody was quicker with; `None` where the outcome does not change its status.
    ///
    /// The same as the database works out in `storage::charge::settle`, for a payment that is not captured in part: it is known
    /// before the row is written, so that the answer can be stored in the same statement.
    pub fn after(&self, outcome: &Outcome, now: OffsetDateTime) -> Option<Self> {
        let status = outcome
            .result
            .status()
            .filter(|status| self.status.may_become(*status))?;
        let mut after = self.clone();
        after.status = status;
        after.updated_at = now;
        after.stripe_payment_intent_id = self
            .stripe_payment_intent_id
            .clone()
            .or_else(|| text(outcome.intent_id.as_deref(), MAX_INTENT_ID).map(str::to_owned));
        (after.failure_code, after.failure_message) = (None, None);
        match status {
            PaymentStatus::Completed => after.completed_at = Some(now),
            PaymentStatus::RequiresCapture => after.amount_authorized = Some(self.amount),
            PaymentStatus::Failed => {
                let code = text(outcome.code.as_deref(), MAX_FAILURE_CODE).unwrap_or(DECLINED_WITHOUT_CODE);
                after.failure_code = Some(code.to_owned());
                after.failure_message =
                    text(outcome.message.as_deref(), MAX_FAILURE_MESSAGE).map(str::to_owned);
            }
            _ => {}
        }
        Some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::golden;

    #[test]
    fn every_pair_of_status_and_result_is_decided_as_by_the_monolith() {
        let vectors = golden::vectors("transitions");
        assert_eq!(vectors.len(), PaymentStatus::ALL.len() * ChargeResult::ALL.len());
        for vector in vectors {
            let status = PaymentStatus::from_name(golden::text(&vector, "status")).unwrap();
            let result = ChargeResult::from_name(golden::text(&vector, "result")).unwrap();
            let next = result.status().filter(|next| status.may_become(*next));
            assert_eq!(next.map(PaymentStatus::name), vector["next"].as_str(), "{vector}");
        }
    }

    #[test]
    fn predecessors_are_the_other_side_of_the_same_table() {
        for next in PaymentStatus::ALL {
            for status in PaymentStatus::ALL {
                assert_eq!(
                    next.predecessors().any(|before| before == *status),
                    status.may_become(*next)
                );
            }
        }
    }

    #[test]
    fn no_status_becomes_itself_and_unknown_is_no_status() {
        for status in PaymentStatus::ALL {
            assert!(!status.may_become(*status), "{status}");
        }
        assert_eq!(ChargeResult::Unknown.status(), None);
    }

    #[test]
    fn names_are_read_back() {
        for status in PaymentStatus::ALL {
            assert_eq!(PaymentStatus::from_name(status.name()), Some(*status));
        }
        assert_eq!(PaymentStatus::from_name("lost"), None);
    }
}
