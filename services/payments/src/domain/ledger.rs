//! The ledger: double entry. What an account gains is positive, what it gives is negative.

use super::money::Minor;

named! {
    /// What an account is for.
    AccountKind {
        /// Asset: our balance at Stripe.
        Stripe = "stripe",
        /// Asset: what payouts brought to the bank.
        Bank = "bank",
        /// Asset: withdrawn while disputes are open.
        Disputes = "disputes",
        /// Expense: what Stripe keeps.
        Fees = "fees",
        /// What one customer has paid us net, as a negative balance.
        Customer = "customer",
    }
}

named! {
    /// A movement of money.
    TransactionKind {
        /// A payment completed.
        Charge = "charge",
        /// What Stripe keeps of it.
        Fee = "fee",
        /// Money given back.
        Refund = "refund",
        /// A refund came back.
        RefundFailed = "refund_failed",
        /// Stripe takes the disputed amount away.
        DisputeOpened = "dispute_opened",
        /// Stripe gives the disputed amount back to us.
        DisputeWon = "dispute_won",
        /// The disputed amount goes to the cardholder for good.
        DisputeLost = "dispute_lost",
        /// Money reached the bank.
        Payout = "payout",
        /// Money that the bank sent back.
        PayoutFailed = "payout_failed",
    }
}

/// One account's side of a movement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The account.
    pub account: AccountKind,
    /// What it gains.
    pub amount: Minor,
}

impl TransactionKind {
    /// The account that gains the amount, and the one that gives it.
    pub const fn sides(self) -> (AccountKind, AccountKind) {
        match self {
            Self::Charge | Self::RefundFailed => (AccountKind::Stripe, AccountKind::Customer),
            Self::Fee => (AccountKind::Fees, AccountKind::Stripe),
            Self::Refund => (AccountKind::Customer, AccountKind::Stripe),
            Self::DisputeOpened => (AccountKind::Disputes, AccountKind::Stripe),
            Self::DisputeWon => (AccountKind::Stripe, AccountKind::Disputes),
            Self::DisputeLost => (AccountKind::Customer, AccountKind::Disputes),
            Self::Payout => (AccountKind::Bank, AccountKind::Stripe),
            Self::PayoutFailed => (AccountKind::Stripe, AccountKind::Bank),
        }
    }

    /// The entries of a movement of `amount`, which is more than zero. They sum to zero because both are made of it.
    pub const fn entries(self, amount: Minor) -> [Entry; 2] {
        let (gains, gives) = self.sides();
        [
            Entry {
                account: gains,
                amount,
            },
            Entry {
                account: gives,
                amount: Minor(-amount.0),
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_movement_sums_to_zero_over_two_accounts(
            kind in proptest::sample::select(TransactionKind::ALL), amount in 1..=i64::MAX,
        ) {
            let entries = kind.entries(Minor(amount));
            prop_assert_eq!(entries[0].amount.0 + entries[1].amount.0, 0);
            prop_assert_ne!(entries[0].account, entries[1].account);
            prop_assert!(entries[0].amount > Minor::ZERO);
        }
    }

    #[test]
    fn what_comes_back_undoes_what_went() {
        use TransactionKind as Kind;
        for (went, back) in [
            (Kind::Refund, Kind::RefundFailed),
            (Kind::DisputeOpened, Kind::DisputeWon),
            (Kind::Payout, Kind::PayoutFailed),
        ] {
            let (gains, gives) = went.sides();
            assert_eq!(back.sides(), (gives, gains), "{went}");
        }
    }
}
