"""Refunds at Stripe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import stripe
from django.conf import settings

from .client import STRIPE_ITSELF, _call, _client, _reading, _retrieve


class RefundResult(Enum):
    """How far a refund is."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    """Stripe has it and will tell how it ends."""
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class RefundOutcome:
    """What is known of a refund."""

    result: RefundResult
    stripe_id: str | None = None
    code: str = ""


@dataclass(frozen=True)
class RefundRequest:
    """A refund to make."""

    refund_id: int
    intent_id: str
    amount_minor: int
    reason: str
    idempotency_key: str


@dataclass(frozen=True)
class FoundRefund:
    """A refund as Stripe has it now."""

    outcome: RefundOutcome
    refund_id: int | None
    """Our own id, when we asked for it."""
    intent_id: str | None
    amount_minor: int


def create_refund(request: RefundRequest) -> RefundOutcome:
    """Give money back. The same idempotency key never does so twice."""
    params: dict[str, Any] = {
        "payment_intent": request.intent_id,
        "amount": request.amount_minor,
        "metadata": {"refund_id": str(request.refund_id)},
    }
    if request.reason:
        params["metadata"]["reason"] = request.reason
        if settings.STRIPE_API_BASE == STRIPE_ITSELF:
            # localstripe refuses the parameter.
            params["reason"] = request.reason
    try:
        with _call("refunds.create"):
            refund = _client().v1.refunds.create(params, {"idempotency_key": request.idempotency_key})
    except (stripe.CardError, stripe.InvalidRequestError) as error:
        return RefundOutcome(RefundResult.FAILED, None, error.code or "refused")
    except stripe.StripeError as error:
        return RefundOutcome(RefundResult.UNKNOWN, code=type(error).__name__)
    return _found(refund.to_dict()).outcome


def get_refund(stripe_id: str) -> FoundRefund | None:
    """A refund by its id; None when Stripe has none."""
    refund = _retrieve("refunds.retrieve", lambda: _client().v1.refunds.retrieve(stripe_id))
    return _found(refund) if refund else None


def refunds_of(intent_id: str) -> list[tuple[str, FoundRefund]]:
    """All refunds of a PaymentIntent, with their ids."""
    with _reading("refunds.list"):
        return [(refund["id"], _found(refund)) for refund in _refunds(intent_id)]


def find_refund(refund_id: int, intent_id: str) -> RefundOutcome | None:
    """Look a refund up by its metadata; None when Stripe has none."""
    return next((found.outcome for _, found in refunds_of(intent_id) if found.refund_id == refund_id), None)


def _refunds(intent_id: str) -> Iterator[dict[str, Any]]:
    for refund in _client().v1.refunds.list({"payment_intent": intent_id, "limit": 100}).auto_paging_iter():
        # localstripe lists here what a partial capture gave free, which is no refund of the payment.
        if refund.to_dict().get("payment_intent") == intent_id:
            yield refund.to_dict()


def _found(refund: dict[str, Any]) -> FoundRefund:
    known = {
        "succeeded": RefundResult.SUCCEEDED,
        "pending": RefundResult.PENDING,
        "requires_action": RefundResult.PENDING,
        "failed": RefundResult.FAILED,
        "canceled": RefundResult.FAILED,
    }
    result = known.get(refund["status"], RefundResult.UNKNOWN)
    code = refund.get("failure_reason") or refund["status"] if result is RefundResult.FAILED else ""
    own_id = (refund.get("metadata") or {}).get("refund_id", "")
    return FoundRefund(
        RefundOutcome(result, refund["id"], code),
        int(own_id) if own_id.isascii() and own_id.isdigit() and len(own_id) < 19 else None,
        refund.get("payment_intent"),
        refund["amount"],
    )
