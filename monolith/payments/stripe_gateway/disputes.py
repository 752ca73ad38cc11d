"""Disputes at Stripe."""

from __future__ import annotations

from typing import Any

from .client import _client, _retrieve


def get_dispute(stripe_id: str) -> dict[str, Any] | None:
    """A dispute by its id; None where it is not known, as at localstripe, which has no disputes."""
    return _retrieve("disputes.retrieve", lambda: _client().v1.disputes.retrieve(stripe_id))
