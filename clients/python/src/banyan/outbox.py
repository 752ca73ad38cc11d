"""Publishing events: one row in the outbox, in the transaction of the state the event tells of."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from django.db import ProgrammingError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.asyncio import async_unsafe

from banyan import _settings
from banyan._uuid7 import uuid7
from banyan.errors import InvalidEvent, OutboxMissing, OutsideTransaction
from banyan.events import EVENTS, EventName

try:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError:  # The extra `telemetry` is not installed: events carry no trace.
    _propagator = None
else:
    # Not the global propagator: only the trace context belongs into an event, baggage may be personal.
    _propagator = TraceContextTextMapPropagator()

_INSERT = "INSERT INTO outbox (id, subject, type, payload, headers) VALUES (%s, %s, %s, %s::jsonb, %s::jsonb)"
_SUBJECT = re.compile(r"[a-z][a-z0-9_-]*/[^\s/\x00-\x1f\ud800-\udfff]{1,200}")
_UNDEFINED_TABLE = "42P01"


# Called rather than put on `publish_event` as a decorator, which would hide its types from checkers.
_refuse_event_loop = async_unsafe(
    "publish_event needs a thread's own transaction: put it, with its atomic block, into a function and call that with "
    "sync_to_async."
)(lambda: None)


def publish_event(
    type: EventName,
    data: Mapping[str, Any],
    *,
    subject: str,
    effect_owner: Literal["legacy", "new"] | None = None,
    using: str | None = None,
) -> UUID:
    """Write an event into the outbox and return its id.

    The event commits or rolls back with the caller's transaction; a relay publishes it after the commit. A lock on
    the subject is held until then, so publish late in the transaction, and in one order where there are several.

    Args:
        type: Name of the event type, such as `payment.completed`.
        data: The payload; its keys are listed under the type in `banyan.events`. Times are aware `datetime`s or
            RFC 3339 text. None leaves an optional field out.
        subject: What the event is about, such as `user/42`. Events of one subject keep their order.
        effect_owner: Who performs the side effect, where both the monolith and a service could.
        using: Alias of the database whose transaction it belongs to; else `BANYAN["DATABASE"]`, else `default`.

    Raises:
        OutsideTransaction: no transaction is open on that database.
        InvalidEvent: the type is unknown or the data do not fit it; names the field. Nothing was written, and the
            transaction can go on.
        OutboxMissing: the database has no outbox; run the migrations.

    """
    _refuse_event_loop()
    alias = using or _settings.database()
    connection = connections[alias]
    if not _in_transaction(connection):
        raise OutsideTransaction(
            f"publish_event({type!r}) outside a transaction on database {alias!r}: the event could be sent for a "
            f"change that was never saved. Wrap both in `with transaction.atomic(using={alias!r}):`."
        )
    event = EVENTS.get(type)
    if event is None:
        close = difflib.get_close_matches(str(type), EVENTS, n=1)
        raise InvalidEvent(str(type), "type", f"is unknown; did you mean {close[0]}?" if close else "is unknown")
    if not isinstance(subject, str) or _SUBJECT.fullmatch(subject) is None:
        raise InvalidEvent(type, "subject", "must name one thing, such as user/42")
    if effect_owner not in (None, "legacy", "new"):
        raise InvalidEvent(type, "effect_owner", "must be 'legacy', 'new' or None")
    payload = event.wire(data)
    headers = {"dataschema": event.dataschema}
    if _propagator is not None:
        _propagator.inject(headers)
    if effect_owner is not None:
        headers["effectowner"] = effect_owner
    event_id = uuid7()
    row = (event_id, subject, event.name, json.dumps(payload, ensure_ascii=False), json.dumps(headers))
    try:
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, row)
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) == _UNDEFINED_TABLE:
            raise OutboxMissing(
                f"database {alias!r} has no outbox table: add 'banyan.django' to INSTALLED_APPS and run "
                f"`manage.py migrate banyan --database {alias}`"
            ) from error
        raise
    return event_id


def _in_transaction(connection: BaseDatabaseWrapper) -> bool:
    if connection.in_atomic_block:
        # The blocks that Django's TestCase wraps around a test are not there in production.
        return any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
    return not connection.get_autocommit()
