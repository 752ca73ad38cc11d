"""The connection to Stripe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import stripe
from django.conf import settings
from django.db import transaction
from opentelemetry import trace

tracer = trace.get_tracer("payments.stripe")

STRIPE_ITSELF = "https://api.stripe.com"


class StripeUnavailable(Exception):
    """Stripe did not answer, or not with a decision."""


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


@contextmanager
def _reading(operation: str) -> Iterator[None]:
    """A call that only asks: whatever goes wrong, nothing is known."""
    try:
        with _call(operation):
            yield
    except stripe.StripeError as error:
        raise StripeUnavailable(type(error).__name__) from error


def _retrieve(operation: str, get: Callable[[], Any]) -> dict[str, Any] | None:
    """An object as Stripe has it now; None when Stripe has none."""
    try:
        with _call(operation):
            return get().to_dict()
    except stripe.StripeError as error:
        if error.http_status == 404:
            return None
        raise StripeUnavailable(type(error).__name__) from error
