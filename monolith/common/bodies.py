"""Reading JSON request bodies, field by field."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest

from .problems import Problem, invalid, malformed

# PostgreSQL's text cannot hold NUL and UTF-8 cannot hold lone surrogates; other control characters
# and line breaks have no place in names, descriptions and mail headers.
_UNSTORABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def read_json(request: HttpRequest) -> Body:
    """The request's JSON object. Numbers with a fraction are read as exact decimals."""
    if request.content_type != "application/json":
        raise Problem(
            415,
            "unsupported-media-type",
            "Unsupported media type",
            "Send the body as JSON with `Content-Type: application/json`.",
        )
    try:
        data = json.loads(request.body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise malformed("The body is not valid JSON.") from None
    if not isinstance(data, dict):
        raise malformed("The body must be a JSON object.")
    return Body(data)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class Body:
    """A JSON object whose fields are taken one by one; `done` reports all that were wrong."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self.errors: list[dict[str, str]] = []

    def raw(self, name: str) -> Any:
        """The field as it was parsed; None when absent."""
        return self._data.get(name)

    def __contains__(self, name: str) -> bool:
        """Whether the field was sent, if only as null."""
        return name in self._data

    def only(self, *names: str) -> None:
        """Note every field that is not among these."""
        for name in self._data.keys() - set(names):
            self.fail(name, "is not known")

    def not_null(self, *names: str) -> None:
        """Note these fields where they were sent as null: leaving a field out is how to say nothing."""
        for name in names:
            if name in self and self.raw(name) is None:
                self.fail(name, "must not be null")

    def fail(self, field: str, message: str) -> None:
        """Note that a field is wrong."""
        self.errors.append({"field": field, "message": message})

    def done(self) -> None:
        """Answer 422 when any field was wrong."""
        if self.errors:
            raise invalid(self.errors)

    def text(
        self,
        name: str,
        *,
        max_length: int,
        min_length: int = 1,
        default: str | None = None,
        strip: bool = True,
    ) -> str:
        """A text; required unless a default is given."""
        value = self._data.get(name)
        if value is None:
            if default is None:
                self.fail(name, "is required")
            return default or ""
        if not isinstance(value, str):
            self.fail(name, "must be a text")
            return ""
        value = value.strip() if strip else value
        if _UNSTORABLE.search(value):
            return self._refused_text(name, "contains characters that cannot be stored")
        if len(value) < min_length:
            message = f"must have at least {min_length} characters" if value else "must not be empty"
            return self._refused_text(name, message)
        if len(value) > max_length:
            return self._refused_text(name, f"must have at most {max_length} characters")
        return value

    def _refused_text(self, name: str, message: str) -> str:
        """Empty, so that nobody looks a refused text up: PostgreSQL fails at a NUL."""
        self.fail(name, message)
        return ""

    def email(self, name: str) -> str:
        """An e-mail address, lower case."""
        failures = len(self.errors)
        value = self.text(name, max_length=254).lower()
        if len(self.errors) == failures:
            try:
                validate_email(value)
            except ValidationError:
                self.fail(name, "is not an e-mail address")
        return value

    def choice(self, name: str, choices: list[str], *, default: str) -> str:
        """One of a few texts."""
        value = self._data.get(name)
        if value is None:
            return default
        if value not in choices:
            self.fail(name, "must be one of " + ", ".join(choices))
            return default
        return str(value)

    def boolean(self, name: str, *, default: bool) -> bool:
        """true or false."""
        value = self._data.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fail(name, "must be true or false")
            return default
        return value

    def integer_or_none(self, name: str) -> int | None:
        """A whole number, or nothing."""
        value = self._data.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(name, "must be a whole number")
            return None
        return value
