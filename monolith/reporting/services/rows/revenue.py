"""Revenue by day and currency."""

from __future__ import annotations

from payments.models import Currency
from payments.money import format_amount
from reporting.ranges import DayRange
from reporting.services.revenue import read

from .stream import Rows


def revenue(days: DayRange) -> Rows:
    """What these days brought."""
    yield ["date", "currency", "gross", "refunds", "disputes", "fees", "net", "payments"]
    decimals = dict(Currency.objects.values_list("code", "decimals"))
    for row in reversed(read(days)):
        money = (row.gross, row.refunds, row.disputes, row.fees, row.net)
        yield [
            row.date,
            row.currency,
            *(format_amount(amount, decimals[row.currency]) for amount in money),
            row.payments,
        ]
