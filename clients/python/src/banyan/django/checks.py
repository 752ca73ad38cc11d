"""System checks: a mistake in the settings is told when the process starts, not when the first event is lost."""

from __future__ import annotations

import difflib
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import connections

from banyan._settings import KNOWN, database


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check the `BANYAN` dictionary and the database it names."""
    options = getattr(settings, "BANYAN", {})
    if not isinstance(options, dict):
        return [Error("BANYAN must be a dictionary.", id="banyan.E001")]
    errors: list[CheckMessage] = []
    for key in sorted(set(options) - KNOWN, key=str):
        close = difflib.get_close_matches(str(key), KNOWN, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"The keys are {', '.join(sorted(KNOWN))}."
        errors.append(Error(f"BANYAN has an unknown key {key!r}.", hint=hint, id="banyan.E002"))
    alias = database()
    if alias not in connections:
        errors.append(Error(f"BANYAN['DATABASE'] is {alias!r}, which is not in DATABASES.", id="banyan.E003"))
    elif connections[alias].vendor != "postgresql":
        vendor = connections[alias].vendor
        errors.append(Error(f"The outbox needs PostgreSQL, database {alias!r} is {vendor}.", id="banyan.E004"))
    return errors
