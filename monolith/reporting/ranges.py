"""Ranges of days, UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone

MOST_DAYS = 366
DEFAULT_DAYS = 30
# Nothing was sold before, and no arithmetic on days goes wrong in between.
FIRST_YEAR, LAST_YEAR = 2000, 2999
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY = timedelta(days=1)


class BadRange(ValueError):
    """`field` is the end that is wrong, the text says what is."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class DayRange:
    """From the first day to the last, both included."""

    first: date
    last: date

    @property
    def begin(self) -> datetime:
        """The first moment."""
        return datetime.combine(self.first, time.min, UTC)

    @property
    def end(self) -> datetime:
        """The moment after the last one."""
        return datetime.combine(self.last + _DAY, time.min, UTC)

    def newest_first(self) -> Iterator[date]:
        """Each day."""
        return (self.last - _DAY * n for n in range((self.last - self.first).days + 1))


def today() -> date:
    """The day it is, UTC."""
    return timezone.now().astimezone(UTC).date()


def parse_day(text: str) -> date:
    """A day as `YYYY-MM-DD`; `ValueError` for anything else."""
    if not _DATE.fullmatch(text):
        raise ValueError("must be a date such as 2026-01-31")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError("is not a day of the calendar") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"must be between {FIRST_YEAR} and {LAST_YEAR}")
    return day


def day_range(first: str | None, last: str | None) -> DayRange:
    """The range that a client asks for; an end that is left out makes it the last 30 days."""
    end = _end("to", last) if last is not None else None
    begin = _end("from", first) if first is not None else None
    end = end or today()
    begin = begin or end - _DAY * (DEFAULT_DAYS - 1)
    if begin > end:
        raise BadRange("from", "must not be after to")
    if (end - begin).days >= MOST_DAYS:
        raise BadRange("from", f"must be at most {MOST_DAYS} days before to")
    return DayRange(begin, end)


def _end(field: str, text: str) -> date:
    try:
        return parse_day(text)
    except ValueError as error:
        raise BadRange(field, str(error)) from None
