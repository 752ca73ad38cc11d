"""PaymentIntents: charging, capturing, canceling, and finding out what became of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import stripe

from .cards import _said
from .client import StripeUnavailable, _call, _client, _reading, _retrieve
from .keys import cancel_key, capture_key


class Result(Enum):
    """How a charge ended."""

    SUCCEEDED = "succeeded"
    REQUIRES_ACTION = "requires_action"
    REQUIRES_CAPTURE = "requires_capture"
    CANCELED = "canceled"
    DECLINED = "declined"
    UNKNOWN = "unknown"
    """Stripe may or may not have charged: a timeout, a lost connection, a 5xx."""


@dataclass(frozen=True)
class Outcome:
    """What is known of a charge."""

    result: Result
    intent_id: str | None = None
    code: str = ""
    message: str = ""
    received_minor: int | None = None
    """What Stripe took, where it says so: less than authorised after a partial capture."""


@dataclass(frozen=True)
class ChargeRequest:
    """A PaymentIntent to make."""

    payment_id: int
    amount_minor: int
    currency: str
    customer_id: str
    payment_method_id: str
    capture: bool
    off_session: bool
    idempotency_key: str


@dataclass(frozen=True)
class FoundIntent:
    """A PaymentIntent as Stripe has it now."""

    outcome: Outcome
    payment_id: int | None
    customer_id: str | None


def charge(request: ChargeRequest) -> Outcome:
    """Create and confirm a PaymentIntent. The same idempotency key never charges twice."""
    params: dict[str, Any] = {
        "amount": request.amount_minor,
        "currency": request.currency.lower(),
        "customer": request.customer_id,
        "payment_method": request.payment_method_id,
        "payment_method_types": ["card"],
        "capture_method": "automatic" if request.capture else "manual",
        "confirm": True,
        "metadata": {"payment_id": str(request.payment_id)},
    }
    if request.off_session:
        params["off_session"] = True
    try:
        with _call("payment_intents.create"):
            intent = _client().v1.payment_intents.create(params, {"idempotency_key": request.idempotency_key})
    except stripe.CardError as error:
        code = error.code or "card_declined"
        return Outcome(Result.DECLINED, _intent_of(error), code, _said(error))
    except stripe.InvalidRequestError as error:
        # Stripe refused the request as such: nothing was charged, and a retry would not change it.
        code = error.code or "invalid_request"
        return Outcome(Result.DECLINED, None, code, "The payment could not be processed.")
    except stripe.StripeError as error:
        return Outcome(Result.UNKNOWN, code=type(error).__name__)
    return outcome_of(intent.to_dict())


def capture(payment_id: int, intent_id: str, amount_minor: int) -> Outcome:
    """Take what was reserved, or a part of it; the rest is given free."""
    try:
        with _call("payment_intents.capture"):
            intent = _client().v1.payment_intents.capture(
                intent_id, {"amount_to_capture": amount_minor}, {"idempotency_key": capture_key(payment_id)}
            )
    except (stripe.CardError, stripe.InvalidRequestError):
        return _as_it_is(intent_id)
    except stripe.StripeError as error:
        return Outcome(Result.UNKNOWN, intent_id, code=type(error).__name__)
    return outcome_of(intent.to_dict())


def cancel(payment_id: int, intent_id: str) -> Outcome:
    """Give free what was reserved."""
    try:
        with _call("payment_intents.cancel"):
            intent = _client().v1.payment_intents.cancel(intent_id, {}, {"idempotency_key": cancel_key(payment_id)})
    except stripe.InvalidRequestError:
        return _as_it_is(intent_id)
    except stripe.StripeError as error:
        return Outcome(Result.UNKNOWN, intent_id, code=type(error).__name__)
    return outcome_of(intent.to_dict())


def _as_it_is(intent_id: str) -> Outcome:
    """Stripe refused a change: the PaymentIntent says why."""
    try:
        found = get_intent(intent_id)
    except StripeUnavailable as error:
        return Outcome(Result.UNKNOWN, intent_id, code=str(error))
    return found.outcome if found else Outcome(Result.UNKNOWN, intent_id, code="resource_missing")


def get_intent(intent_id: str) -> FoundIntent | None:
    """A PaymentIntent by its id; None when Stripe has none."""
    intent = _retrieve("payment_intents.retrieve", lambda: _client().v1.payment_intents.retrieve(intent_id))
    if intent is None:
        return None
    payment_id = (intent.get("metadata") or {}).get("payment_id", "")
    return FoundIntent(
        outcome_of(intent),
        int(payment_id) if payment_id.isascii() and payment_id.isdigit() and len(payment_id) < 19 else None,
        intent.get("customer"),
    )


def find_intent(payment_id: int, customer_id: str, created_at: datetime) -> Outcome | None:
    """Look a payment's PaymentIntent up by its metadata; None when Stripe has none."""
    since = int(created_at.timestamp()) - 300  # clocks differ
    with _reading("payment_intents.list"):
        for intent in _intents(customer_id, since):
            metadata = intent.get("metadata") or {}
            if metadata.get("payment_id") == str(payment_id) and intent["customer"] == customer_id:
                return outcome_of(intent)
    return None


def _intents(customer_id: str, since: int) -> Iterator[dict[str, Any]]:
    intents = _client().v1.payment_intents
    try:
        first = intents.list({"customer": customer_id, "created": {"gte": since}, "limit": 100})
    except stripe.InvalidRequestError:
        # localstripe has no filters; there the whole list is short.
        first = intents.list({"limit": 100})
    for intent in first.auto_paging_iter():
        yield intent.to_dict()


def intent_of_charge(charge_id: str) -> str | None:
    """The PaymentIntent that a charge belongs to."""
    found = _retrieve("charges.retrieve", lambda: _client().v1.charges.retrieve(charge_id))
    return found.get("payment_intent") if found else None


def outcome_of(intent: dict[str, Any]) -> Outcome:
    """What a PaymentIntent's status means for the payment."""
    status = intent["status"]
    error = intent.get("last_payment_error")
    if status in ("requires_payment_method", "requires_confirmation") and error:
        code = error.get("code") or "card_declined"
        return Outcome(Result.DECLINED, intent["id"], code, error.get("message") or "")
    known = {
        "succeeded": Result.SUCCEEDED,
        "requires_action": Result.REQUIRES_ACTION,
        "requires_capture": Result.REQUIRES_CAPTURE,
        "canceled": Result.CANCELED,
    }
    return Outcome(known.get(status, Result.UNKNOWN), intent["id"], received_minor=intent.get("amount_received"))


def _intent_of(error: stripe.CardError) -> str | None:
    """The PaymentIntent that a decline belongs to; localstripe names only its charge."""
    body = (error.json_body or {}).get("error", {})
    if intent := body.get("payment_intent"):
        return str(intent["id"])
    charge_id = body.get("charge")
    if not charge_id:
        return None
    try:
        return intent_of_charge(charge_id)
    except StripeUnavailable:
        return None  # known to be declined; only its number is missing
