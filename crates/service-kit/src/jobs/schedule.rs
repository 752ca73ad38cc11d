//! Cron expressions over `time`'s clock, in UTC.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds};
use croner::{CivilDate, CivilDateTime, CivilTime, Cron, CronDateTime, Resolution, Weekday};
use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// A parsed cron expression.
#[derive(Debug, Clone)]
pub(super) struct Schedule(Cron);

impl Schedule {
    pub(super) fn parse(expression: &str) -> Result<Self, String> {
        CronParser::builder()
            .seconds(Seconds::Optional)
            .build()
            .parse(expression)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    pub(super) fn next_after(&self, time: OffsetDateTime) -> Option<OffsetDateTime> {
        self.0
            .find_next_occurrence(&Utc(time.to_offset(UtcOffset::UTC)), false)
            .ok()
            .map(|next| next.0)
    }
}

/// A moment in UTC, where a wall clock time is always exactly one moment.
#[derive(Clone, Copy)]
struct Utc(OffsetDateTime);

impl CronDateTime for Utc {
    fn to_civil(&self) -> CivilDateTime {
        let (date, time) = (self.0.date(), self.0.time());
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(
                date.year(),
                u32::from(u8::from(date.month())),
                u32::from(date.day()),
            ),
            CivilTime::from_parts_unchecked(
                u32::from(time.hour()),
                u32::from(time.minute()),
                u32::from(time.second()),
            ),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::from(self.0.weekday().number_days_from_sunday()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |value: u32| u8::try_from(value).ok();
        let date = part(civil.month())
            .and_then(|month| Month::try_from(month).ok())
            .zip(part(civil.day()))
            .and_then(|(month, day)| Date::from_calendar_date(civil.year(), month, day).ok())
            .ok_or(CronError::InvalidDate)?;
        let time = part(civil.hour())
            .zip(part(civil.minute()))
            .zip(part(civil.second()))
            .and_then(|((hour, minute), second)| Time::from_hms(hour, minute, second).ok())
            .ok_or(CronError::InvalidTime)?;
        Ok(Resolution::Single(Self(
            PrimitiveDateTime::new(date, time).assume_utc(),
        )))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(Duration::seconds(seconds)).map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::Schedule;

    #[test]
    fn the_next_tick_is_found_in_utc() {
        for (expression, after, next) in [
            (
                "0 3 * * *",
                datetime!(2026-03-29 02:59:59.5 UTC),
                datetime!(2026-03-29 03:00 UTC),
            ),
            (
                "0 3 * * *",
                datetime!(2026-03-29 03:00 UTC),
                datetime!(2026-03-30 03:00 UTC),
            ),
            (
                "0 3 * * *",
                datetime!(2026-03-29 01:30 -04:00),
                datetime!(2026-03-30 03:00 UTC),
            ),
            (
                "*/5 * * * *",
                datetime!(2026-12-31 23:58:01 UTC),
                datetime!(2027-01-01 00:00 UTC),
            ),
            (
                "*/10 * * * * *",
                datetime!(2026-01-01 00:00:09.9 UTC),
                datetime!(2026-01-01 00:00:10 UTC),
            ),
            (
                "0 0 29 2 *",
                datetime!(2026-01-01 00:00 UTC),
                datetime!(2028-02-29 00:00 UTC),
            ),
            (
                "0 8 * * 1",
                datetime!(2026-08-01 00:00 UTC),
                datetime!(2026-08-03 08:00 UTC),
            ),
        ] {
            let schedule = Schedule::parse(expression).unwrap();
            assert_eq!(
                schedule.next_after(after),
                Some(next),
                "{expression} after {after}"
            );
        }
    }

    #[test]
    fn what_is_not_cron_is_refused() {
        for bad in ["", "every day", "61 * * * *", "* * * *"] {
            assert!(Schedule::parse(bad).is_err(), "{bad}");
        }
    }
}
