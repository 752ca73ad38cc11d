"""What the outbox holds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from jsonschema import Draft202012Validator

SCHEMAS = Path(settings.BASE_DIR).parent / "crates" / "events" / "schemas"


@dataclass(frozen=True)
class Event:
    """A row of the outbox."""

    id: str
    subject: str
    sequence: int
    type: str
    data: dict[str, Any]
    headers: dict[str, str]


def events(event_type: str | None = None) -> list[Event]:
    """The events in order, each checked against its committed JSON Schema."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, subject, sequence, type, payload, headers FROM outbox ORDER BY sequence")
        rows = [Event(str(row[0]), *row[1:4], _json(row[4]), _json(row[5])) for row in cursor.fetchall()]
    for row in rows:
        _validator(row.type).validate(row.data)
    return [row for row in rows if event_type in (None, row.type)]


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


@cache
def _validator(event_type: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{event_type}.v1.json").read_text())
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
