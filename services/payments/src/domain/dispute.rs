//! Disputes: cardholders who tell their bank that a payment was wrong (<https://docs.stripe.com/disputes/how-disputes-work>).

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    ledger::TransactionKind,
    money::{Currency, Minor},
    payment::{Payment, PaymentStatus},
};

named! {
    /// Where a dispute stands, in Stripe's words. The `Warning…` ones are inquiries: no money has moved.
    DisputeStatus {
        /// An inquiry that wants evidence.
        WarningNeedsResponse = "warning_needs_response",
        /// An inquiry that is looked at.
        WarningUnderReview = "warning_under_review",
        /// An inquiry that came to nothing.
        WarningClosed = "warning_closed",
        /// The money was taken back; evidence is wanted.
        NeedsResponse = "needs_response",
        /// The bank looks at the evidence.
        UnderReview = "under_review",
        /// The money is ours again.
        Won = "won",
        /// The money is gone.
        Lost = "lost",
        /// Settled before it became one.
        Prevented = "prevented",
    }
}

named! {
    /// What speaks for us in a dispute.
    EvidenceKind {
        /// That and when it was paid.
        Receipt = "receipt",
        /// What was given back.
        RefundHistory = "refund_history",
        /// What was paid for.
        ProductDescription = "product_description",
    }
}

/// Where a dispute stands, as of when: news are applied in this order, not in that of their arrival.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Effect {
    /// When it happened, UTC. Stripe counts in seconds.
    pub at: OffsetDateTime,
    /// Within one second a dispute goes forward only.
    rank: u8,
}

impl Effect {
    /// Of a status at a moment.
    pub const fn new(at: OffsetDateTime, status: DisputeStatus) -> Self {
        Self {
            at,
            rank: status.rank(),
        }
    }
}

impl DisputeStatus {
    /// Whether nothing more will come of it.
    pub const fn is_closed(self) -> bool {
        matches!(
            self,
            Self::Won | Self::Lost | Self::WarningClosed | Self::Prevented
        )
    }

    /// Whether the payment is shown as disputed: while the dispute is open, and after it was lost.
    pub const fn is_shown(self) -> bool {
        !self.is_closed() || matches!(self, Self::Lost)
    }

    /// What moves when a dispute gets to this status, and whether Stripe keeps the amount from us afterwards. Stripe takes it when the
    /// dispute opens, and gives it back when we win; news may come out of order, so a dispute may be new to us and lost already.
    pub const fn movements(self, is_withdrawn: bool) -> (bool, &'static [TransactionKind]) {
        match (self, is_withdrawn) {
            (Self::Lost, false) => (
                true,
                &[TransactionKind::DisputeOpened, TransactionKind::DisputeLost],
            ),
            (Self::Lost, true) => (true, &[TransactionKind::DisputeLost]),
            (Self::NeedsResponse | Self::UnderReview, false) => (true, &[TransactionKind::DisputeOpened]),
            (Self::Won | Self::WarningClosed | Self::Prevented, true) => {
                (false, &[TransactionKind::DisputeWon])
            }
            (_, is_withdrawn) => (is_withdrawn, &[]),
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::WarningNeedsResponse => 0,
            Self::WarningUnderReview => 1,
            Self::NeedsResponse => 2,
            Self::UnderReview => 3,
            Self::WarningClosed | Self::Won | Self::Lost | Self::Prevented => 4,
        }
    }
}

/// The status of a payment that money was taken of, given its refunds and whether one of its disputes is shown.
pub fn payment_status(payment: &Payment, is_disputed: bool) -> PaymentStatus {
    if is_disputed {
        PaymentStatus::Disputed
    } else {
        super::refund::undisputed_status(payment.amount, payment.amount_refunded)
    }
}

/// What our books say for us: no personal data. `refunds` are amounts and moments of those that succeeded.
pub fn evidence(
    payment: &Payment,
    currency: Currency,
    refunds: &[(Minor, OffsetDateTime)],
) -> Vec<(EvidenceKind, String)> {
    let intent = payment.stripe_payment_intent_id.as_deref().unwrap_or_default();
    let receipt = format!(
        "Payment {} of {} {}\nmade {}\nStripe reference {intent}",
        payment.id,
        payment.amount.format(currency),
        currency.code,
        moment(payment.created_at),
    );
    let mut collected = vec![(EvidenceKind::Receipt, receipt)];
    if !refunds.is_empty() {
        let lines: Vec<String> = refunds
            .iter()
            .map(|(amount, at)| format!("{} {} on {}", amount.format(currency), currency.code, moment(*at)))
            .collect();
        collected.push((EvidenceKind::RefundHistory, lines.join("\n")));
    }
    if let Some(description) = &payment.description {
        collected.push((EvidenceKind::ProductDescription, description.clone()));
    }
    collected
}

/// RFC 3339, which the years that a database can hold always have.
fn moment(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the `stripe` account gains by these movements of an amount of one.
    fn stripe_gains(kinds: &[TransactionKind]) -> i64 {
        let entries = kinds.iter().flat_map(|kind| kind.entries(Minor(1)));
        entries
            .filter(|entry| entry.account == crate::domain::ledger::AccountKind::Stripe)
            .map(|entry| entry.amount.0)
            .sum()
    }

    #[test]
    fn what_moves_is_what_changes_hands_from_any_status_to_any() {
        for status in DisputeStatus::ALL {
            for before in [false, true] {
                let (after, kinds) = status.movements(before);
                assert_eq!(
                    stripe_gains(kinds),
                    i64::from(before) - i64::from(after),
                    "{status} {before}"
                );
                let lost = kinds.contains(&TransactionKind::DisputeLost);
                assert_eq!(lost, *status == DisputeStatus::Lost);
            }
        }
    }

    #[test]
    fn inquiries_move_nothing() {
        use DisputeStatus::{WarningClosed, WarningNeedsResponse, WarningUnderReview};
        for status in [WarningNeedsResponse, WarningUnderReview, WarningClosed] {
            assert_eq!(status.movements(false), (false, &[][..]));
        }
    }

    #[test]
    fn within_a_second_a_dispute_goes_forward_only() {
        let at = OffsetDateTime::UNIX_EPOCH;
        let effect = |status| Effect::new(at, status);
        assert!(effect(DisputeStatus::NeedsResponse) < effect(DisputeStatus::Won));
        assert!(effect(DisputeStatus::WarningUnderReview) < effect(DisputeStatus::NeedsResponse));
        let later = Effect::new(at + time::Duration::SECOND, DisputeStatus::NeedsResponse);
        assert!(later > effect(DisputeStatus::UnderReview));
    }
}
