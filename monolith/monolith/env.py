"""Reading settings from the environment, with errors that name the variable and the mend."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


class Environment:
    """Collects every missing or bad variable, so that one start names them all."""

    def __init__(self, values: dict[str, str] | None = None) -> None:
        self._values = dict(os.environ) if values is None else values
        self._errors: list[str] = []

    def text(self, name: str, default: str | None = None, *, hint: str = "") -> str:
        """The variable as text; without a default it is required."""
        value = self._values.get(name, "")
        if value:
            return value
        if default is None:
            self._errors.append(f"{name} is not set{f' ({hint})' if hint else ''}")
            return ""
        return default

    def integer(self, name: str, default: int) -> int:
        """The variable as a whole number."""
        raw = self._values.get(name, "")
        if not raw:
            return default
        try:
            return int(raw)
        except ValueError:
            self._errors.append(f"{name} must be a whole number, not {raw!r}")
            return default

    def seconds(self, name: str, default: float) -> float:
        """The variable as a positive number of seconds."""
        raw = self._values.get(name, "")
        if not raw:
            return default
        try:
            value = float(raw)
        except ValueError:
            value = 0.0
        if not 0 < value < 86_400:
            self._errors.append(f"{name} must be a number of seconds above 0, not {raw!r}")
            return default
        return value

    def boolean(self, name: str, default: bool) -> bool:
        """The variable as `true` or `false`."""
        raw = self._values.get(name, "").lower()
        if not raw:
            return default
        if raw in {"1", "true", "yes", "on"}:
            return True
        if raw in {"0", "false", "no", "off"}:
            return False
        self._errors.append(f"{name} must be true or false, not {raw!r}")
        return default

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """The variable as one of these words; the first one by default."""
        value = self.text(name, choices[0])
        if value not in choices:
            self._errors.append(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        return value

    def file(self, name: str, *, hint: str) -> Path:
        """The path of a file that must be readable."""
        path = Path(self.text(name, hint=hint))
        if self._values.get(name) and not os.access(path, os.R_OK):
            self._errors.append(f"{name} names {path}, which cannot be read ({hint})")
        return path

    def database(self, name: str) -> dict[str, Any]:
        """A `postgres://user:password@host:port/database` URL as Django's dictionary."""
        url = self.text(name, hint="postgres://user:password@host:port/database")
        if not url:
            return {}
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
            # The URL itself is not repeated: it holds a password.
            self._errors.append(f"{name} must look like postgres://user:password@host:port/database")
            return {}
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or ""),
            "PORT": str(port or ""),
            "OPTIONS": dict(parse_qsl(parts.query)),
        }

    def check(self) -> None:
        """Refuse to start when anything was missing or bad."""
        if self._errors:
            raise ImproperlyConfigured(
                "The monolith cannot start:\n  - "
                + "\n  - ".join(self._errors)
                + "\nmonolith/README.md lists the environment variables."
            )
