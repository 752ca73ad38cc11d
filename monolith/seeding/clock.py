"""The time that the seeded history covers, in whole seconds since it began."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

HOUR = 3600
DAY = 24 * HOUR
# Two years of history, and what was planned then for the time after it: the ends of yearly periods.
DAYS = 730
_DAYS_AHEAD = 800
# Later than anything that happens.
NEVER = 1 << 40


def _second(second: int) -> str:
    # Real rows have microseconds; the same time of day always has the same ones here.
    micros = second * 7919 % 1_000_000
    return f"{second // HOUR:02}:{second // 60 % 60:02}:{second % 60:02}.{micros:06}+00"


# Formatting a timestamp is putting two texts together.
_SECONDS = [_second(second) for second in range(DAY)]


class Clock:
    """From midnight two years before `as_of` to midnight, when the day of `as_of` begins."""

    def __init__(self, as_of: date) -> None:
        self.as_of = as_of
        self.first_day = as_of - timedelta(days=DAYS)
        self.last_day = as_of - timedelta(days=1)
        self.start = datetime.combine(self.first_day, time.min, UTC)
        self.end = DAYS * DAY
        self.start_millis = int(self.start.timestamp()) * 1000
        self._days = [f"{self.first_day + timedelta(days=n)} " for n in range(DAYS + _DAYS_AHEAD)]

    def at(self, moment: int) -> str:
        """A moment as PostgreSQL reads it."""
        day, second = divmod(moment, DAY)
        return self._days[day] + _SECONDS[second]

    def day(self, moment: int) -> str:
        """The day of a moment."""
        return self._days[moment // DAY][:10]

    def datetime(self, moment: int) -> datetime:
        """A moment for the domain's own arithmetic, without its microseconds."""
        return self.start + timedelta(seconds=moment)

    def moment(self, value: datetime) -> int:
        """The way back."""
        return int((value - self.start).total_seconds())
