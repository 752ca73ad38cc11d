//! Coupons: a percentage, or an amount of one currency, off the first invoice or every one.

use time::OffsetDateTime;

use super::{invoice::Discount, money::CurrencyCode};

named! {
    /// Which invoices a coupon lowers.
    Duration {
        /// The first.
        Once = "once",
        /// Every one.
        Forever = "forever",
    }
}

/// A coupon. Each user may use one once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Coupon {
    /// Id of the row.
    pub id: i64,
    /// What it takes off.
    pub discount: Discount,
    /// The currency of plans that it is for; `None`: of any.
    pub currency: Option<CurrencyCode>,
    /// Which invoices it lowers.
    pub duration: Duration,
    /// How often it can be used by all users together.
    pub max_redemptions: Option<i32>,
    /// From when it cannot be used any more, UTC.
    pub valid_until: Option<OffsetDateTime>,
    /// False: it cannot be used any more.
    pub is_active: bool,
}

/// Why a coupon cannot be used. The texts are the monolith's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CouponRefusal {
    /// There is none, or not any more.
    #[error("is not a coupon that can be used")]
    Unknown,
    /// It is for plans in another currency.
    #[error("is for plans in {0}")]
    Currency(CurrencyCode),
    /// By all users together.
    #[error("has been used up")]
    UsedUp,
    /// By this user.
    #[error("has been used")]
    Used,
}

impl Coupon {
    /// Whether it can be used now for a plan in that currency, if it is not used up, and the user has not used it before.
    ///
    /// # Errors
    /// [`CouponRefusal::Unknown`] and [`CouponRefusal::Currency`].
    pub fn check(&self, currency: CurrencyCode, now: OffsetDateTime) -> Result<(), CouponRefusal> {
        if !self.is_active || self.valid_until.is_some_and(|until| until <= now) {
            return Err(CouponRefusal::Unknown);
        }
        match self.currency {
            Some(own) if own != currency => Err(CouponRefusal::Currency(own)),
            _ => Ok(()),
        }
    }

    /// What it takes off the invoices after the first.
    pub fn of_renewals(&self) -> Option<Discount> {
        (self.duration == Duration::Forever).then_some(self.discount)
    }
}

#[cfg(test)]
mod tests {
    use time::Duration as Span;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn code(text: &str) -> CurrencyCode {
        CurrencyCode::new(text).unwrap()
    }

    fn coupon() -> Coupon {
        Coupon {
            id: 1,
            discount: Discount::Percent(10),
            currency: None,
            duration: Duration::Once,
            max_redemptions: None,
            valid_until: None,
            is_active: true,
        }
    }

    #[test]
    fn a_coupon_is_for_its_time_and_its_currency() {
        let usd = code("USD");
        let limited = Coupon {
            currency: Some(usd),
            valid_until: Some(NOW + Span::MICROSECOND),
            ..coupon()
        };
        assert_eq!(coupon().check(usd, NOW), Ok(()));
        assert_eq!(limited.check(usd, NOW), Ok(()));
        for (changed, refusal) in [
            (
                Coupon {
                    is_active: false,
                    ..limited
                },
                CouponRefusal::Unknown,
            ),
            (
                Coupon {
                    valid_until: Some(NOW),
                    ..limited
                },
                CouponRefusal::Unknown,
            ),
            (
                Coupon {
                    currency: Some(code("EUR")),
                    ..limited
                },
                CouponRefusal::Currency(code("EUR")),
            ),
        ] {
            assert_eq!(changed.check(usd, NOW), Err(refusal), "{changed:?}");
        }
    }

    #[test]
    fn only_one_that_lasts_lowers_renewals() {
        assert_eq!(coupon().of_renewals(), None);
        let lasting = Coupon {
            duration: Duration::Forever,
            ..coupon()
        };
        assert_eq!(lasting.of_renewals(), Some(Discount::Percent(10)));
    }
}
