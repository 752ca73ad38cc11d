"""Requests that come again under the same Idempotency-Key."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from common.problems import Problem


def fingerprint(*canonical: Any) -> str:
    """SHA-256 of a request in canonical form."""
    return hashlib.sha256(json.dumps(canonical, separators=(",", ":")).encode()).hexdigest()


def check_same_request(earlier: str, now: str) -> None:
    """Refuse another request under a used key."""
    if earlier != now:
        raise Problem(
            422,
            "idempotency-key-reused",
            "Idempotency key reused",
            "This Idempotency-Key was used with another request. Use a new key for a new payment.",
        )


def in_progress() -> Problem:
    """409: the first request has not ended."""
    return Problem(
        409,
        "idempotency-key-in-use",
        "Idempotency key in use",
        "A request with this Idempotency-Key is still running.",
        headers={"Retry-After": "1"},
    )


def invalid_state(detail: str, *, retry: bool = False) -> Problem:
    """409: not possible as things stand."""
    return Problem(409, "invalid-state", "Invalid state", detail, headers={"Retry-After": "1"} if retry else None)
