//! Subscriptions: where one stands, and what a declined payment makes of it.

use time::{Duration, OffsetDateTime};

use super::{
    invoice::InvoiceStatus,
    money::{CurrencyCode, Minor},
    period::Interval,
};

/// Something to subscribe to, at a price per period.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// Id of the row, part of the API.
    pub id: i64,
    /// As its subscribers read it.
    pub name: String,
    /// The price of a period, more than zero.
    pub amount: Minor,
    /// Currency of the price.
    pub currency: CurrencyCode,
    /// How long a period is.
    pub interval: Interval,
}

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

/// A user's subscription to a plan. Whoever switches to another plan gets a new one; the old one ends when the new one is paid.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subscription {
    /// Id of the row.
    pub id: i64,
    /// The subscriber.
    pub user_id: i64,
    /// The subscriber's customer.
    pub customer_id: i64,
    /// What is subscribed to.
    pub plan_id: i64,
    /// The card that pays.
    pub payment_method_id: i64,
    /// The coupon that lowers the first invoice, or every one.
    pub coupon_id: Option<i64>,
    /// The coupon's code.
    pub coupon_code: Option<String>,
    /// The subscription that this one takes over from.
    pub replaces_id: Option<i64>,
    /// The plan's: a user has one subscription per currency.
    pub currency: CurrencyCode,
    /// Where it stands.
    pub status: SubscriptionStatus,
    /// SHA-256 of the canonical request in hex.
    pub request_fingerprint: String,
    /// Periods are counted from here, UTC.
    pub billing_anchor: OffsetDateTime,
    /// Start of the current period, UTC.
    pub current_period_start: OffsetDateTime,
    /// Its end.
    pub current_period_end: OffsetDateTime,
    /// It ends with the current period.
    pub cancel_at_period_end: bool,
    /// The end of the period, or the next try after a decline, UTC.
    pub next_billing_at: OffsetDateTime,
    /// How often the present invoice was declined.
    pub failed_attempts: i16,
    /// When it was made, UTC.
    pub created_at: OffsetDateTime,
    /// When it ended, UTC.
    pub canceled_at: Option<OffsetDateTime>,
}

impl Subscription {
    /// It is paid for this period, and billed again at its end.
    pub fn run_for(&mut self, start: OffsetDateTime, end: OffsetDateTime) {
        (self.status, self.failed_attempts) = (SubscriptionStatus::Active, 0);
        (self.current_period_start, self.current_period_end) = (start, end);
        self.next_billing_at = end;
    }

    /// It ends now.
    pub fn end(&mut self, now: OffsetDateTime) {
        (self.status, self.canceled_at) = (SubscriptionStatus::Canceled, Some(now));
    }

    /// The payment of its invoice did not go through; what the invoice is then, where it is not to be paid any more.
    pub fn decline(&mut self, now: OffsetDateTime) -> Option<InvoiceStatus> {
        // A CHECK keeps it from being less than zero.
        let before = usize::try_from(self.failed_attempts).unwrap_or_default();
        match AfterDecline::of(self.status, before) {
            AfterDecline::Expire => {
                self.status = SubscriptionStatus::IncompleteExpired;
                Some(InvoiceStatus::Void)
            }
            AfterDecline::Retry(after) => {
                self.failed_attempts += 1;
                (self.status, self.next_billing_at) = (SubscriptionStatus::PastDue, now + after);
                None
            }
            AfterDecline::End => {
                self.failed_attempts += 1;
                self.end(now);
                Some(InvoiceStatus::Uncollectible)
            }
            AfterDecline::Nothing => None,
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
