"""Payouts at Stripe."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import stripe

from .client import _call, _client, _reading, _retrieve
from .keys import payout_key


class PayoutResult(Enum):
    """How far a payout is."""

    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PayoutOutcome:
    """What is known of a payout."""

    result: PayoutResult
    stripe_id: str | None = None
    code: str = ""


def create_payout(payout_id: int, amount_minor: int, currency: str) -> PayoutOutcome:
    """Send money to the bank. localstripe does so in euros only and refuses the rest."""
    try:
        with _call("payouts.create"):
            payout = _client().v1.payouts.create(
                {
                    "amount": amount_minor,
                    "currency": currency.lower(),
                    "metadata": {"payout_id": str(payout_id)},
                },
                {"idempotency_key": payout_key(payout_id)},
            )
    except stripe.InvalidRequestError as error:
        return PayoutOutcome(PayoutResult.FAILED, None, error.code or "refused")
    except stripe.StripeError as error:
        return PayoutOutcome(PayoutResult.UNKNOWN, code=type(error).__name__)
    return _outcome(payout.to_dict())


def get_payout(stripe_id: str) -> PayoutOutcome | None:
    """A payout by its id; None when Stripe has none."""
    payout = _retrieve("payouts.retrieve", lambda: _client().v1.payouts.retrieve(stripe_id))
    return _outcome(payout) if payout else None


def find_payout(payout_id: int) -> PayoutOutcome | None:
    """Look a payout up by its metadata; None when Stripe has none."""
    with _reading("payouts.list"):
        for payout in _client().v1.payouts.list({"limit": 100}).auto_paging_iter():
            found = payout.to_dict()
            if (found.get("metadata") or {}).get("payout_id") == str(payout_id):
                return _outcome(found)
    return None


def _outcome(payout: dict[str, Any]) -> PayoutOutcome:
    known = {result.value: result for result in PayoutResult}
    return PayoutOutcome(
        known.get(payout["status"], PayoutResult.UNKNOWN), payout["id"], payout.get("failure_code") or ""
    )
