"""Stripe idempotency keys: the same text in monolith and service, so that neither repeats the other's call."""

from __future__ import annotations

import hashlib

# Stripe takes keys of up to 255 characters.
MAX_KEY_LENGTH = 255


def charge_key(user_id: int, client_key: str) -> str:
    """The key of a charge: `charge:<user>:<client's key>`."""
    return _with_client_key(f"charge:{user_id}", client_key)


def refund_key(payment_id: int, client_key: str) -> str:
    """The key of a refund: `refund:<payment>:<client's key>`."""
    return _with_client_key(f"refund:{payment_id}", client_key)


def capture_key(payment_id: int) -> str:
    """The key of a capture: a payment is captured once."""
    return f"capture:{payment_id}"


def cancel_key(payment_id: int) -> str:
    """The key of a cancellation."""
    return f"cancel:{payment_id}"


def payout_key(payout_id: int) -> str:
    """The key of a payout."""
    return f"payout:{payout_id}"


def _with_client_key(prefix: str, client_key: str) -> str:
    """A client key that would make it longer than Stripe takes is replaced by its SHA-256."""
    key = f"{prefix}:{client_key}"
    if len(key) > MAX_KEY_LENGTH:
        key = f"{prefix}:sha256:{hashlib.sha256(client_key.encode()).hexdigest()}"
    return key
