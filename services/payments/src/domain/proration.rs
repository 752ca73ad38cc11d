//! Credit for the unused time of a plan that is switched from.

use time::OffsetDateTime;

use super::money::Minor;

/// The credit for the rest of a paid period at `now`, zero or less, rounded down to whole minor units: in the customer's favour.
/// `None` where the period is empty.
pub fn credit(paid: Minor, start: OffsetDateTime, end: OffsetDateTime, now: OffsetDateTime) -> Option<Minor> {
    let whole = (end - start).whole_microseconds();
    let unused = (end - start.max(now.min(end))).whole_microseconds();
    if whole <= 0 {
        return None;
    }
    let credit = (-i128::from(paid.0) * unused).div_euclid(whole);
    i64::try_from(credit).ok().map(Minor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::Duration;

    use super::*;
    use crate::domain::golden;

    #[test]
    fn credits_are_the_monoliths() {
        for vector in golden::vectors("credits") {
            let given = credit(
                Minor(golden::integer(&vector, "paid")),
                golden::moment(&vector, "start"),
                golden::moment(&vector, "end"),
                golden::moment(&vector, "now"),
            );
            assert_eq!(given, Some(Minor(golden::integer(&vector, "credit"))), "{vector}");
        }
    }

    proptest! {
        #[test]
        fn a_credit_is_never_more_than_was_paid_nor_less_than_its_share(
            paid in 0..=99_999_999_999_999_i64, days in 1..=366_i64, after in -10_000_i64..=40_000_000,
        ) {
            let start = OffsetDateTime::UNIX_EPOCH;
            let end = start + Duration::days(days);
            let now = start + Duration::seconds(after);
            let given = i128::from(credit(Minor(paid), start, end, now).unwrap().0);
            prop_assert!((-i128::from(paid)..=0).contains(&given));
            let (whole, unused) = ((end - start).whole_seconds(), (end - now.clamp(start, end)).whole_seconds());
            let exact = i128::from(paid) * i128::from(unused);
            prop_assert!(-given * i128::from(whole) >= exact && (-given - 1) * i128::from(whole) < exact);
        }
    }

    #[test]
    fn an_empty_period_has_no_credit() {
        let at = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(credit(Minor(100), at, at, at), None);
    }
}
