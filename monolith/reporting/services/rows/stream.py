"""Reading a table from end to end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

Rows = Iterator[list[Any]]

CHUNK = 2000


def stream(rows: QuerySet) -> Iterator[Any]:
    """Rows oldest first by a server-side cursor: memory does not grow with the table."""
    return rows.order_by("created_at", "id").iterator(chunk_size=CHUNK)
