"""The `BANYAN` dictionary in Django's settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS

KNOWN = frozenset({"DATABASE", "DOMAINS", "ROLLOUTS_FILE", "SOURCE"})


def _get(key: str) -> Any:
    return getattr(settings, "BANYAN", {}).get(key)


def database() -> str:
    """Return the alias of the database that holds the outbox."""
    return str(_get("DATABASE") or DEFAULT_DB_ALIAS)


def rollouts_file() -> str | None:
    """Return the path of the rollout rules, from the settings or else from the environment."""
    path = _get("ROLLOUTS_FILE") or os.environ.get("BANYAN_ROLLOUTS_FILE")
    return os.fspath(path) if path else None


def domain(name: str) -> Mapping[str, str]:
    """Return what is set for a domain that moves: `ROLLOUT`, and `HAND_OVER`, where the gateway goes on."""
    try:
        return (_get("DOMAINS") or {})[name]
    except KeyError:
        raise ImproperlyConfigured(
            f'BANYAN["DOMAINS"] has no {name!r}: set {{"ROLLOUT": "…", "HAND_OVER": "@new_{name}"}}'
        ) from None
