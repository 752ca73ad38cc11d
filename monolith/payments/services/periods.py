"""Periods of subscriptions."""

from __future__ import annotations

import calendar
from datetime import datetime

from payments.models import Interval

MONTHS = {Interval.MONTH: 1, Interval.YEAR: 12}


def period_end(anchor: datetime, start: datetime, interval: str) -> datetime:
    """The end of the period that begins at `start`.

    Counted from the anchor: what began on 31 January is renewed on 28 February and on 31 March.
    """
    elapsed = (start.year - anchor.year) * 12 + start.month - anchor.month
    return _add_months(anchor, elapsed + MONTHS[Interval(interval)])


def _add_months(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.month - 1 + months, 12)
    year, month = moment.year + year, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))
