//! Tying a day out: what our payments say against what the ledger and Stripe say.

use super::money::CurrencyCode;

named! {
    /// What was compared with what.
    DifferenceKind {
        /// A payment, and its charge in the ledger.
        ChargeInLedger = "charge_in_ledger",
        /// The fee of a payment, and its booking.
        FeeInLedger = "fee_in_ledger",
        /// A refund, and its bookings.
        RefundInLedger = "refund_in_ledger",
        /// What Stripe withholds for a dispute, and its bookings.
        DisputeInLedger = "dispute_in_ledger",
        /// A payout, and its bookings.
        PayoutInLedger = "payout_in_ledger",
        /// The entries of a ledger transaction, which must sum to zero in each currency.
        LedgerUnbalanced = "ledger_unbalanced",
        /// A payment, and the charge at Stripe.
        ChargeAtStripe = "charge_at_stripe",
        /// A refund, and Stripe's.
        RefundAtStripe = "refund_at_stripe",
        /// A dispute, and Stripe's.
        DisputeAtStripe = "dispute_at_stripe",
        /// A payout, and Stripe's.
        PayoutAtStripe = "payout_at_stripe",
    }
}

/// Two sides that do not agree.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Difference {
    /// What was compared with what.
    pub kind: DifferenceKind,
    /// Ours where we have it (`payment/7`), else Stripe's id.
    pub object: String,
    /// In which currency; `None` where there is no amount.
    pub currency: Option<CurrencyCode>,
    /// What we say, in minor units; `None` where we know nothing of it.
    pub expected_minor: Option<i64>,
    /// What the ledger, or Stripe, says; `None` where nothing is there.
    pub actual_minor: Option<i64>,
}

/// A share as exact decimal text with four decimals, rounded down: `0.0050`.
pub fn rate(part: i64, whole: i64) -> String {
    let whole = i128::from(whole.max(1));
    let ten_thousandths = i128::from(part) * 10_000 / whole;
    format!("{}.{:04}", ten_thousandths / 10_000, ten_thousandths % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_exact_text() {
        for (part, whole, text) in [
            (0, 1000, "0.0000"),
            (5, 1000, "0.0050"),
            (1, 3, "0.3333"),
            (7, 7, "1.0000"),
            (3, 0, "3.0000"),
        ] {
            assert_eq!(rate(part, whole), text);
        }
    }
}
