//! Tying a day out.

mod books;
mod kept;
mod ours;

pub use books::books;
pub use kept::{Stored, store};
pub use ours::{Ours, Resource, of_stripe, unseen};

use time::{Date, Duration, OffsetDateTime};

/// A UTC day: from its first moment to that of the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Day {
    /// The first moment.
    pub from: OffsetDateTime,
    /// The first moment of the next day.
    pub until: OffsetDateTime,
}

impl From<Date> for Day {
    fn from(date: Date) -> Self {
        let from = date.midnight().assume_utc();
        Self {
            from,
            until: from + Duration::DAY,
        }
    }
}
