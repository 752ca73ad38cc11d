"""GET /api/reports/revenue"""

from __future__ import annotations

from datetime import date

from django.http import HttpRequest, JsonResponse

from common.pages import bad_cursor, bad_query, decode_cursor, encode_cursor, page_limit
from payments.models import Currency
from reporting.ranges import parse_day
from reporting.serializers import revenue_json
from reporting.services.revenue import Figures, read
from users.auth import AuthenticatedRequest, staff_only

from .queries import asked_range


@staff_only
def get_revenue(request: AuthenticatedRequest) -> JsonResponse:
    """Revenue by day and currency, newest day first."""
    days, limit = asked_range(request), page_limit(request)
    decimals = dict(Currency.objects.values_list("code", "decimals"))
    currency = request.GET.get("currency")
    if currency is not None and currency not in decimals:
        raise bad_query("currency", "is not a currency that payments are made in")
    found = read(days, currency=currency, after=_after(request), limit=limit + 1)
    shown = found[:limit]
    following = _cursor(shown[-1]) if len(found) > limit else None
    items = [revenue_json(row, decimals[row.currency]) for row in shown]
    return JsonResponse({"items": items, "nextCursor": following})


def _cursor(row: Figures) -> str:
    return encode_cursor(f"{row.date}.{row.currency}")


def _after(request: HttpRequest) -> tuple[date, str] | None:
    cursor = request.GET.get("cursor")
    if not cursor:
        return None
    day, _, currency = decode_cursor(cursor).partition(".")
    try:
        after = parse_day(day), currency
    except ValueError:
        raise bad_cursor() from None
    if not (len(currency) == 3 and currency.isalpha()):
        raise bad_cursor()
    return after
