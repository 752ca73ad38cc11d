"""Checks data against the generated description of an event type, and brings it to its form on the wire.

Why not a JSON Schema library over the generated schemas: for JSON Schema 10.0 is an integer and a string of any
form may pass as `date-time`, while the readers in Rust refuse both, and what a view has at hand are `datetime`,
`UUID` and enum members, which such a library refuses. The payloads are flat, so a check of our own is short; the
tests hold it against the schemas.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from banyan.errors import InvalidEvent

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
# PostgreSQL's jsonb cannot hold U+0000, and a lone surrogate has no UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class _Unfit(Exception):
    """What is wrong with a value."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a payload."""

    kind: Literal["integer", "boolean", "text", "time", "uuid"]
    required: bool = True
    bits: int = 64
    """Size of a signed integer."""
    pattern: str | None = None
    """A regular expression that a text matches."""
    values: tuple[str, ...] = ()
    """The only texts allowed, where the set is closed."""

    def wire(self, value: Any) -> Any:
        """Return the value as it travels, or raise `_Unfit`."""
        match self.kind:
            case "integer":
                return self._integer(value)
            case "boolean":
                if not isinstance(value, bool):
                    raise _Unfit(f"must be a bool, not {_name(value)}")
                return value
            case "text":
                return self._text(value)
            case "time":
                return _time(value)
            case "uuid":
                return _uuid(value)

    def _integer(self, value: Any) -> int:
        # bool is a subclass of int.
        if isinstance(value, bool) or not isinstance(value, int):
            raise _Unfit(f"must be an int, not {_name(value)}")
        limit = 1 << (self.bits - 1)
        if not -limit <= value < limit:
            raise _Unfit(f"does not fit into {self.bits} bits")
        return int(value)

    def _text(self, value: Any) -> str:
        text = _storable(value)
        if self.values and text not in self.values:
            raise _Unfit(f"must be one of {', '.join(self.values)}")
        if self.pattern is not None and not re.search(self.pattern, text, re.ASCII):
            raise _Unfit(f"must match {self.pattern}")
        # `$` of a pattern lets a final newline pass.
        if self.pattern is not None and text.endswith("\n"):
            raise _Unfit(f"must match {self.pattern}")
        return text


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type and the fields of its payload."""

    name: str
    major: int
    fields: Mapping[str, Field]

    @property
    def dataschema(self) -> str:
        """The CloudEvents `dataschema`."""
        return f"urn:banyan:events:{self.name}:{self.major}"

    def wire(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the payload as it travels; an optional field that is None is left out.

        Raises:
            InvalidEvent: the first field that is missing, unknown or of the wrong type, by name.

        """
        if not isinstance(data, Mapping):
            raise InvalidEvent(self.name, "data", f"must be a mapping, not {_name(data)}")
        for name in data:
            # Readers tolerate fields they do not know, but here it is a misspelling or another version's field.
            if name not in self.fields:
                raise InvalidEvent(self.name, str(name), f"is not a field of {self.name}")
        payload = {}
        for name, field in self.fields.items():
            if field.required and name not in data:
                raise InvalidEvent(self.name, name, "is missing")
            value = data.get(name)
            if value is None and not field.required:
                continue
            try:
                payload[name] = field.wire(value)
            except _Unfit as error:
                raise InvalidEvent(self.name, name, str(error)) from None
        return payload


def _name(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _storable(value: Any) -> str:
    if not isinstance(value, str):
        raise _Unfit(f"must be a str, not {_name(value)}")
    # A member of a text enum (Django's TextChoices) has another str() than its value.
    text = str.__str__(value)
    if _UNSTORABLE.search(text):
        raise _Unfit("contains a character that cannot be stored (U+0000 or a lone surrogate)")
    return text


def _time(value: Any) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise _Unfit("must be an aware datetime, this one has no time zone")
        try:
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except OverflowError:
            raise _Unfit("is out of range in UTC") from None
    if not isinstance(value, str):
        raise _Unfit(f"must be an aware datetime or RFC 3339 text, not {_name(value)}")
    try:
        if _RFC3339.fullmatch(value) is None:
            raise ValueError
        datetime.fromisoformat(value)
    except ValueError:
        raise _Unfit("must be an RFC 3339 time with a time zone, such as 2026-01-02T03:04:05Z") from None
    return str.__str__(value)


def _uuid(value: Any) -> str:
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str):
        raise _Unfit(f"must be a UUID or its text, not {_name(value)}")
    try:
        return str(UUID(value))
    except ValueError:
        raise _Unfit("is not the text of a UUID") from None
