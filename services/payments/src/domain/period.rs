//! Periods of subscriptions.

use time::{Date, Month, OffsetDateTime, UtcOffset, error::ComponentRange};

named! {
    /// How long a period is.
    Interval {
        /// A month of the calendar.
        Month = "month",
        /// A year of the calendar.
        Year = "year",
    }
}

impl Interval {
    const fn months(self) -> i32 {
        match self {
            Self::Month => 1,
            Self::Year => 12,
        }
    }
}

/// The end of the period that begins at `start`, in UTC. Counted from the anchor: what began on 31 January is renewed on 28 February
/// and on 31 March.
///
/// # Errors
/// The end would be after the year 9999.
pub fn period_end(
    anchor: OffsetDateTime,
    start: OffsetDateTime,
    interval: Interval,
) -> Result<OffsetDateTime, ComponentRange> {
    let (anchor, start) = (anchor.to_offset(UtcOffset::UTC), start.to_offset(UtcOffset::UTC));
    let month = month_number(start) + interval.months();
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
    let month = Month::try_from(u8::try_from(month).unwrap_or_default())?;
    let day = anchor.day().min(month.length(year));
    Ok(anchor.replace_date(Date::from_calendar_date(year, month, day)?))
}

/// Months since the year 0.
fn month_number(moment: OffsetDateTime) -> i32 {
    moment.year() * 12 + i32::from(u8::from(moment.month())) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::Duration;

    use super::*;
    use crate::domain::golden;

    #[test]
    fn periods_are_the_monoliths() {
        for vector in golden::vectors("periods") {
            let interval = Interval::from_name(golden::text(&vector, "interval")).unwrap();
            let end = period_end(
                golden::moment(&vector, "anchor"),
                golden::moment(&vector, "start"),
                interval,
            );
            assert_eq!(end.unwrap(), golden::moment(&vector, "end"), "{vector}");
        }
    }

    proptest! {
        #[test]
        fn periods_follow_each_other_and_keep_the_time_of_day(
            seconds in 0..4_000_000_000_i64, interval in proptest::sample::select(Interval::ALL),
        ) {
            let anchor = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let mut start = anchor;
            for _ in 0..24 {
                let end = period_end(anchor, start, interval).unwrap();
                let days = (end - start).whole_days();
                let lengths = if interval == Interval::Month { 28..=31 } else { 365..=366 };
                prop_assert!(lengths.contains(&days));
                prop_assert_eq!(end.time(), anchor.time());
                prop_assert!(end.day() == anchor.day() || (end + Duration::DAY).day() == 1);
                start = end;
            }
        }
    }
}
