"""Calls to Stripe, and what their answers mean. Never called with a transaction open."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any

import stripe
from django.conf import settings
from django.db import transaction
from opentelemetry import trace

tracer = trace.get_tracer("payments.stripe")

# Stripe takes keys of up to 255 characters.
MAX_KEY_LENGTH = 255


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


@dataclass(frozen=True)
class ChargeRequest:
    """A PaymentIntent to make."""

    payment_id: int
    amount_minor: int
    currency: str
    customer_id: str
    payment_method_id: str
    capture: bool
    idempotency_key: str


@dataclass(frozen=True)
class Card:
    """A payment method at Stripe."""

    stripe_id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    fingerprint: str


class StripeUnavailable(Exception):
    """Stripe did not answer, or not with a decision."""


class MethodRefused(Exception):
    """Stripe does not accept the payment method."""

    def __init__(self, code: str, message: str, *, declined: bool) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.declined = declined


def charge_key(user_id: int, client_key: str) -> str:
    """The Stripe idempotency key of a charge: the same text in monolith and service.

    A client key that would make it longer than Stripe takes is replaced by its SHA-256.
    """
    key = f"charge:{user_id}:{client_key}"
    if len(key) > MAX_KEY_LENGTH:
        key = f"charge:{user_id}:sha256:{hashlib.sha256(client_key.encode()).hexdigest()}"
    return key


@lru_cache(maxsize=1)
def _client() -> stripe.StripeClient:
    return stripe.StripeClient(
        settings.STRIPE_API_KEY,
        base_addresses={"api": settings.STRIPE_API_BASE},
        http_client=stripe.RequestsClient(timeout=(5, settings.STRIPE_TIMEOUT_SECONDS)),
        # An unknown outcome is settled by `reconcile_pending_payments`, not by hidden retries.
        max_network_retries=0,
    )


@contextmanager
def _call(operation: str) -> Iterator[None]:
    """A client span, and the rule that no transaction is open across a call."""
    if transaction.get_connection().in_atomic_block:
        raise RuntimeError(f"Stripe {operation} inside a transaction")
    attributes = {"peer.service": "stripe", "server.address": settings.STRIPE_API_BASE}
    with tracer.start_as_current_span(f"stripe {operation}", kind=trace.SpanKind.CLIENT, attributes=attributes):
        yield


def create_customer(user_id: int) -> str:
    """The id of a new Stripe customer; asked for twice, Stripe gives the same one."""
    try:
        with _call("customers.create"):
            customer = _client().v1.customers.create(
                {"metadata": {"user_id": str(user_id)}}, {"idempotency_key": f"customer:{user_id}"}
            )
    except stripe.StripeError as error:
        raise StripeUnavailable(type(error).__name__) from error
    return customer.id


def find_card(stripe_id: str) -> Card:
    """A card at Stripe, by its id or by the name of a test card."""
    stripe_id = settings.STRIPE_TEST_CARD_ALIASES.get(stripe_id, stripe_id)
    with _method_errors(), _call("payment_methods.retrieve"):
        return _card(_client().v1.payment_methods.retrieve(stripe_id).to_dict())


def attach_card(stripe_id: str, customer_id: str) -> Card:
    """Attach a card to a customer; Stripe may refuse it, as the bank may."""
    with _method_errors(), _call("payment_methods.attach"):
        attached = _client().v1.payment_methods.attach(stripe_id, {"customer": customer_id})
        return _card(attached.to_dict())


@contextmanager
def _method_errors() -> Iterator[None]:
    try:
        yield
    except stripe.CardError as error:
        raise MethodRefused(error.code or "card_declined", _said(error), declined=True) from error
    except stripe.InvalidRequestError as error:
        raise MethodRefused(error.code or "invalid", "is not a payment method", declined=False) from error
    except stripe.StripeError as error:
        raise StripeUnavailable(type(error).__name__) from error


def _card(method: dict[str, Any]) -> Card:
    if method["type"] != "card":
        raise MethodRefused("unsupported_type", "is not a card", declined=False)
    card = method["card"]
    return Card(
        stripe_id=method["id"],
        brand=card["brand"],
        last4=card["last4"],
        exp_month=card["exp_month"],
        exp_year=card["exp_year"],
        fingerprint=card.get("fingerprint") or "",
    )


def charge(request: ChargeRequest) -> Outcome:
    """Create and confirm a PaymentIntent. The same idempotency key never charges twice."""
    try:
        with _call("payment_intents.create"):
            intent = _client().v1.payment_intents.create(
                {
                    "amount": request.amount_minor,
                    "currency": request.currency.lower(),
                    "customer": request.customer_id,
                    "payment_method": request.payment_method_id,
                    "payment_method_types": ["card"],
                    "capture_method": "automatic" if request.capture else "manual",
                    "confirm": True,
                    "metadata": {"payment_id": str(request.payment_id)},
                },
                {"idempotency_key": request.idempotency_key},
            )
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


def find_intent(payment_id: int, customer_id: str, created_at: datetime) -> Outcome | None:
    """Look a payment's PaymentIntent up by its metadata; None when Stripe has none."""
    since = int(created_at.timestamp()) - 300  # clocks differ
    try:
        with _call("payment_intents.list"):
            for intent in _intents(customer_id, since):
                metadata = intent.get("metadata") or {}
                if metadata.get("payment_id") == str(payment_id) and intent["customer"] == customer_id:
                    return outcome_of(intent)
    except stripe.StripeError as error:
        raise StripeUnavailable(type(error).__name__) from error
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
    return Outcome(known.get(status, Result.UNKNOWN), intent["id"])


def _said(error: stripe.StripeError) -> str:
    return error.user_message or "Your card was declined."


def _intent_of(error: stripe.CardError) -> str | None:
    """The PaymentIntent that a decline belongs to; localstripe names only its charge."""
    body = (error.json_body or {}).get("error", {})
    if intent := body.get("payment_intent"):
        return str(intent["id"])
    charge_id = body.get("charge")
    if not charge_id:
        return None
    try:
        with _call("charges.retrieve"):
            return _client().v1.charges.retrieve(charge_id).payment_intent
    except stripe.StripeError:
        return None  # known to be declined; only its number is missing
