"""Query parameters that several reports share."""

from __future__ import annotations

from django.http import HttpRequest

from common.pages import bad_query
from reporting.ranges import BadRange, DayRange, day_range


def asked_range(request: HttpRequest) -> DayRange:
    """`from` and `to`."""
    try:
        return day_range(request.GET.get("from"), request.GET.get("to"))
    except BadRange as error:
        raise bad_query(error.field, str(error)) from None
