"""Revenue by day and currency, from the payments tables or as it was worked out before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Count, DecimalField, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from payments.models import Dispute, Fee, Payment, Refund, RefundStatus
from reporting.models import DailyRevenue
from reporting.ranges import DayRange

_ZERO = Decimal(0)


@dataclass
class Figures:
    """What a day brought in one currency."""

    date: date
    currency: str
    gross: Decimal = _ZERO
    refunds: Decimal = _ZERO
    disputes: Decimal = _ZERO
    fees: Decimal = _ZERO
    payments: int = 0

    @property
    def net(self) -> Decimal:
        """What is left."""
        return self.gross - self.refunds - self.disputes - self.fees


def work_out(days: DayRange) -> list[Figures]:
    """The figures of each day and currency on which anything happened, from the payments tables.

    A payment and its fee count on the day it was completed, a refund on the day it succeeded, a
    dispute on the day it came in, as long as the money is gone.
    """
    figures: dict[tuple[date, str], Figures] = {}

    def of(day: date, currency: str) -> Figures:
        return figures.setdefault((day, currency), Figures(day, currency))

    for day, currency, total, count in _by_day(Payment.objects.all(), "completed_at", days):
        of(day, currency).gross, of(day, currency).payments = total, count
    succeeded = Refund.objects.filter(status=RefundStatus.SUCCEEDED)
    for day, currency, total, _ in _by_day(succeeded, "completed_at", days):
        of(day, currency).refunds = total
    for day, currency, total, _ in _by_day(Dispute.objects.filter(is_withdrawn=True), "created_at", days):
        of(day, currency).disputes = total
    for day, currency, total, _ in _by_day(Fee.objects.all(), "payment__completed_at", days):
        of(day, currency).fees = total
    return sorted(figures.values(), key=lambda row: (-row.date.toordinal(), row.currency))


def _by_day(rows: QuerySet, moment: str, days: DayRange) -> Iterable[tuple[date, str, Decimal, int]]:
    within = rows.filter(**{f"{moment}__gte": days.begin, f"{moment}__lt": days.end})
    total = Sum("amount", output_field=DecimalField(max_digits=20, decimal_places=3))
    grouped = within.annotate(day=TruncDate(moment)).values("day", "currency_id").annotate(total=total, n=Count("pk"))
    return grouped.order_by().values_list("day", "currency_id", "total", "n")


def read(
    days: DayRange, *, currency: str | None = None, after: tuple[date, str] | None = None, limit: int | None = None
) -> list[Figures]:
    """Figures, newest day first and then by currency, after a position and up to a limit."""
    if after is not None:
        days = DayRange(days.first, min(days.last, after[0]))
    rows: list[Figures] = []
    live = _live(days)
    if live is not None:
        rows = [row for row in work_out(live) if currency in (None, row.currency) and _is_after(row, after)]
    if limit is None or len(rows) < limit:
        stored = _stored(days, live, currency, after)
        rows += [_figures(row) for row in (stored if limit is None else stored[: limit - len(rows)])]
    return rows if limit is None else rows[:limit]


def _live(days: DayRange) -> DayRange | None:
    """The days that are not rolled up yet; today never is."""
    rolled_up = DailyRevenue.objects.aggregate(last=Max("date"))["last"]
    first = days.first if rolled_up is None else max(days.first, rolled_up + timedelta(days=1))
    return DayRange(first, days.last) if first <= days.last else None


def _stored(
    days: DayRange, live: DayRange | None, currency: str | None, after: tuple[date, str] | None
) -> QuerySet[DailyRevenue]:
    rows = DailyRevenue.objects.filter(date__range=(days.first, days.last)).order_by("-date", "currency_id")
    if live is not None:
        # What was rolled up a moment ago is in the live figures already.
        rows = rows.filter(date__lt=live.first)
    if currency is not None:
        rows = rows.filter(currency_id=currency)
    if after is not None:
        rows = rows.filter(Q(date__lt=after[0]) | Q(date=after[0], currency_id__gt=after[1]))
    return rows


def _is_after(row: Figures, after: tuple[date, str] | None) -> bool:
    return after is None or row.date < after[0] or (row.date == after[0] and row.currency > after[1])


def _figures(row: DailyRevenue) -> Figures:
    return Figures(row.date, row.currency_id, row.gross, row.refunds, row.disputes, row.fees, row.payments)
