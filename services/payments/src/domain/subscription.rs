//! Subscriptions: where one stands, and what a declined payment makes of it.

use time::Duration;

named! {
    /// Where a subscription stands, in Stripe's words.
    SubscriptionStatus {
        /// The first payment is under way.
        Incomplete = "incomplete",
        /// The first payment was declined.
        IncompleteExpired = "incomplete_expired",
        /// Paid.
        Active = "active",
        /// A renewal was declined and is tried again.
        PastDue = "past_due",
        /// Ended.
        Canceled = "canceled",
    }
}

impl SubscriptionStatus {
    /// Whether it is renewed when its period is over.
    pub const fn is_renewable(self) -> bool {
        matches!(self, Self::Active | Self::PastDue)
    }

    /// Whether it still needs its card.
    pub const fn is_live(self) -> bool {
        self.is_renewable() || matches!(self, Self::Incomplete)
    }
}

/// How long after each decline a renewal is tried again; after the last one the subscription ends.
pub const RETRY_AFTER: [Duration; 3] = [Duration::days(1), Duration::days(3), Duration::days(5)];

/// What follows when the payment of an invoice did not go through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AfterDecline {
    /// A first payment: the subscription never began, its invoice is void.
    Expire,
    /// Try again after that time; the subscription is past due.
    Retry(Duration),
    /// The last try: the subscription ends, its invoice is uncollectible.
    End,
    /// It has ended already.
    Nothing,
}

impl AfterDecline {
    /// For a subscription in that status whose renewal was declined so many times before.
    pub fn of(status: SubscriptionStatus, declined_before: usize) -> Self {
        match status {
            SubscriptionStatus::Incomplete => Self::Expire,
            SubscriptionStatus::Active | SubscriptionStatus::PastDue => RETRY_AFTER
                .get(declined_before)
                .map_or(Self::End, |after| Self::Retry(*after)),
            SubscriptionStatus::IncompleteExpired | SubscriptionStatus::Canceled => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_is_tried_three_times_more() {
        use SubscriptionStatus::{Active, PastDue};
        let steps: Vec<AfterDecline> = [(Active, 0), (PastDue, 1), (PastDue, 2), (PastDue, 3)]
            .into_iter()
            .map(|(status, before)| AfterDecline::of(status, before))
            .collect();
        assert_eq!(
            steps,
            [
                AfterDecline::Retry(Duration::days(1)),
                AfterDecline::Retry(Duration::days(3)),
                AfterDecline::Retry(Duration::days(5)),
                AfterDecline::End
            ]
        );
    }

    #[test]
    fn what_has_ended_stays_so_and_what_never_began_expires() {
        use SubscriptionStatus::{Canceled, Incomplete, IncompleteExpired};
        assert_eq!(AfterDecline::of(Incomplete, 0), AfterDecline::Expire);
        for status in [IncompleteExpired, Canceled] {
            assert_eq!(AfterDecline::of(status, 0), AfterDecline::Nothing);
            assert!(!status.is_live());
        }
        assert!(Incomplete.is_live() && !Incomplete.is_renewable());
    }
}
