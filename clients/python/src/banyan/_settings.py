"""The `BANYAN` dictionary in Django's settings."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS

KNOWN = frozenset({"DATABASE", "ROLLOUTS_FILE", "SOURCE"})


def _get(key: str) -> Any:
    return getattr(settings, "BANYAN", {}).get(key)


def database() -> str:
    """Return the alias of the database that holds the outbox."""
    return str(_get("DATABASE") or DEFAULT_DB_ALIAS)


def rollouts_file() -> str | None:
    """Return the path of the rollout rules, from the settings or else from the environment."""
    path = _get("ROLLOUTS_FILE") or os.environ.get("BANYAN_ROLLOUTS_FILE")
    return os.fspath(path) if path else None
