//! Payouts: Stripe's balance sent to our bank.

use time::{Duration, OffsetDateTime};

use super::money::{CurrencyCode, Minor};

/// Stripe makes money available two days after the payment (<https://docs.stripe.com/payouts#payout-speed>).
pub const SETTLED_AFTER: Duration = Duration::days(2);

named! {
    /// Where a payout stands.
    PayoutStatus {
        /// Asked for, or about to be.
        Pending = "pending",
        /// Sent to the bank.
        InTransit = "in_transit",
        /// There. The bank may still send it back for some days.
        Paid = "paid",
        /// The bank, or Stripe, did not take it.
        Failed = "failed",
        /// Taken back.
        Canceled = "canceled",
    }
}

impl PayoutStatus {
    /// Whether Stripe's word may take a payout from this status to that one. What comes late or twice changes nothing.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => !matches!(next, Self::Pending),
            Self::InTransit => matches!(next, Self::Paid | Self::Failed | Self::Canceled),
            Self::Paid => matches!(next, Self::Failed),
            Self::Failed | Self::Canceled => false,
        }
    }

    /// Whether the money stays at Stripe, and its payments are due again.
    pub const fn is_released(self) -> bool {
        matches!(self, Self::Failed | Self::Canceled)
    }
}

/// What is known of a payout at Stripe.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PayoutOutcome {
    /// Where it stands; `None` while that is unknown.
    pub status: Option<PayoutStatus>,
    /// `po_…`
    pub stripe_id: Option<String>,
    /// Why it failed.
    pub code: Option<String>,
}

/// One transfer to the bank.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Payout {
    /// Id of the row.
    pub id: i64,
    /// In which currency.
    pub currency: CurrencyCode,
    /// How much, more than zero.
    pub amount: Minor,
    /// Payments in it.
    pub payment_count: i32,
    /// Where it stands.
    pub status: PayoutStatus,
    /// `po_…`
    pub stripe_payout_id: Option<String>,
    /// When it was begun, UTC.
    pub created_at: OffsetDateTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bank_that_sends_money_back_follows_a_paid_payout() {
        use PayoutStatus::{Canceled, Failed, InTransit, Paid, Pending};
        let allowed = [
            (Pending, InTransit),
            (Pending, Paid),
            (Pending, Failed),
            (Pending, Canceled),
            (InTransit, Paid),
            (InTransit, Failed),
            (InTransit, Canceled),
            (Paid, Failed),
        ];
        for status in PayoutStatus::ALL {
            for next in PayoutStatus::ALL {
                assert_eq!(
                    status.may_become(*next),
                    allowed.contains(&(*status, *next)),
                    "{status} {next}"
                );
            }
        }
    }
}
