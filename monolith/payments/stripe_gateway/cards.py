"""Customers and cards at Stripe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import stripe
from django.conf import settings

from .client import StripeUnavailable, _call, _client, _reading


@dataclass(frozen=True)
class Card:
    """A payment method at Stripe."""

    stripe_id: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int
    fingerprint: str


class MethodRefused(Exception):
    """Stripe does not accept the payment method."""

    def __init__(self, code: str, message: str, *, declined: bool) -> None:
        super().__init__(code)
        self.code = code
        self.message = message
        self.declined = declined


def create_customer(user_id: int) -> str:
    """The id of a new Stripe customer; asked for twice, Stripe gives the same one."""
    with _reading("customers.create"):
        customer = _client().v1.customers.create(
            {"metadata": {"user_id": str(user_id)}}, {"idempotency_key": f"customer:{user_id}"}
        )
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


def detach_card(stripe_id: str) -> None:
    """Detach a card from its customer; one that is not attached any more is fine."""
    try:
        with _call("payment_methods.detach"):
            _client().v1.payment_methods.detach(stripe_id)
    except stripe.InvalidRequestError:
        return
    except stripe.StripeError as error:
        raise StripeUnavailable(type(error).__name__) from error


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


def _said(error: stripe.StripeError) -> str:
    return error.user_message or "Your card was declined."
