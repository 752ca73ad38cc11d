"""Rolling revenue up, day by day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import groupby

from django.db import connection, transaction
from django.utils import timezone

from reporting.models import DailyRevenue
from reporting.ranges import DayRange, today

from .late import due_days
from .revenue import Figures, work_out

# Days worked out by one query.
CHUNK_DAYS = 31
_DAY = timedelta(days=1)


def roll_up() -> int:
    """Roll up each day that is over and that something happened on since it was rolled up; how many days.

    Oldest first: whatever a run that dies leaves out is later than all that is stored, or is found again.
    """
    now = timezone.now()
    days = due_days(before=today())
    for chunk in _chunks(days):
        _roll_up(chunk, now)
    return len(days)


def _chunks(days: list[date]) -> Iterable[DayRange]:
    """Runs of days without a gap, none longer than a chunk."""
    run: list[date] = []
    for day in days:
        if run and (day != run[-1] + _DAY or len(run) == CHUNK_DAYS):
            yield DayRange(run[0], run[-1])
            run = []
        run.append(day)
    if run:
        yield DayRange(run[0], run[-1])


def _roll_up(days: DayRange, now: datetime) -> None:
    """Work out these days and store each in a transaction of its own; doing it again changes nothing."""
    found = {day: list(rows) for day, rows in groupby(work_out(days), key=lambda row: row.date)}
    for day in reversed(list(days.newest_first())):
        _replace(day, found.get(day, []), now)


def _replace(day: date, figures: list[Figures], now: datetime) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Two runs at once: the one that looked at the payments later must write later.
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('reporting.roll_up:' || %s, 0))", [str(day)])
        stored = DailyRevenue.objects.filter(date=day)
        if stored.filter(rolled_up_at__gt=now).exists():
            return
        stored.exclude(currency__in=[row.currency for row in figures]).delete()
        DailyRevenue.objects.bulk_create(
            [daily_revenue(row, now) for row in figures],
            update_conflicts=True,
            unique_fields=["date", "currency"],
            update_fields=["gross", "refunds", "disputes", "fees", "net", "payments", "rolled_up_at"],
        )


def daily_revenue(row: Figures, now: datetime) -> DailyRevenue:
    """The row, not saved, that keeps these figures as they were at `now`."""
    return DailyRevenue(
        date=row.date,
        currency_id=row.currency,
        gross=row.gross,
        refunds=row.refunds,
        disputes=row.disputes,
        fees=row.fees,
        net=row.net,
        payments=row.payments,
        rolled_up_at=now,
    )
