"""GET /api/reports/users"""

from __future__ import annotations

from datetime import date, timedelta

from django.http import HttpRequest, JsonResponse

from common.pages import bad_cursor, decode_cursor, encode_cursor, page_limit
from reporting.ranges import DayRange, parse_day
from reporting.serializers import activity_json
from reporting.services.activity import activity
from users.auth import AuthenticatedRequest, staff_only

from .queries import asked_range

_DAY = timedelta(days=1)


@staff_only
def get_users(request: AuthenticatedRequest) -> JsonResponse:
    """Sign-ups and activity by day, newest first; every day of the range is there."""
    days, limit = asked_range(request), page_limit(request)
    last = min(days.last, _last(request) or days.last)
    if last < days.first:
        return JsonResponse({"items": [], "nextCursor": None})
    # No more than a page is worked out.
    first = max(days.first, last - _DAY * (limit - 1))
    items = [activity_json(row) for row in activity(DayRange(first, last))]
    return JsonResponse({"items": items, "nextCursor": encode_cursor(str(first)) if first > days.first else None})


def _last(request: HttpRequest) -> date | None:
    """The day after which, going back, the page begins."""
    cursor = request.GET.get("cursor")
    if not cursor:
        return None
    try:
        return parse_day(decode_cursor(cursor)) - _DAY
    except ValueError:
        raise bad_cursor() from None
