"""Lists, newest first, one page at a time.

The cursor names the last row of the page before, by time and id, so rows that arrive meanwhile
neither repeat nor hide others.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, JsonResponse

from .problems import Problem

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def page(request: HttpRequest, rows: QuerySet[Any], to_json: Callable[[Any], dict[str, Any]]) -> JsonResponse:
    """One page of rows that have `created_at` and `id`."""
    limit = page_limit(request)
    cursor = request.GET.get("cursor")
    if cursor:
        moment, row_id = _decode(cursor)
        rows = rows.filter(Q(created_at__lt=moment) | Q(created_at=moment, id__lt=row_id))
    # One more than asked for tells whether there is a next page.
    found = list(rows.order_by("-created_at", "-id")[: limit + 1])
    shown = found[:limit]
    following = _encode(shown[-1]) if len(found) > limit else None
    return JsonResponse({"items": [to_json(row) for row in shown], "nextCursor": following})


def page_limit(request: HttpRequest) -> int:
    """How many items the caller wants at the most."""
    raw = request.GET.get("limit")
    if raw is None:
        return DEFAULT_LIMIT
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 3 and 1 <= int(raw) <= MAX_LIMIT):
        raise bad_query("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
    return int(raw)


def _encode(row: Any) -> str:
    micros = (row.created_at - _EPOCH) // timedelta(microseconds=1)
    return encode_cursor(f"{micros}.{row.id}")


def _decode(cursor: str) -> tuple[datetime, int]:
    try:
        micros, row_id = (int(part) for part in decode_cursor(cursor).split("."))
        if not 0 <= row_id < 2**63:
            raise ValueError
        return _EPOCH + timedelta(microseconds=micros), row_id
    except (ValueError, OverflowError):
        raise bad_cursor() from None


def encode_cursor(position: str) -> str:
    """A position of a list, as clients pass it back."""
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The position that a cursor names; what it means is for the list to say."""
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        raise bad_cursor() from None


def bad_cursor() -> Problem:
    """400: the cursor was not given out by this list."""
    return bad_query("cursor", "is not a cursor of this list")


def bad_query(field: str, message: str) -> Problem:
    """400: a query parameter cannot be understood."""
    return Problem(
        400,
        "bad-request",
        "Bad request",
        f"The query parameter {field} {message}.",
        errors=[{"field": field, "message": message}],
    )
