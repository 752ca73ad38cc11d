"""Taking Stripe's events: verified, kept once each, handled until that has succeeded once."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stripe
from django.conf import settings
from django.utils import timezone

from common.problems import Problem, malformed
from payments.models import StripeWebhookEvent, WebhookStatus
from payments.stripe_gateway import StripeUnavailable

from .stripe_events import HANDLERS

logger = logging.getLogger(__name__)

TOLERANCE_SECONDS = 300


@dataclass(frozen=True)
class Event:
    """An event as it was sent."""

    id: str
    type: str
    created_at: datetime
    object: dict[str, Any]


def receive(payload: bytes, signature: str) -> None:
    """Verify and handle an event. Raises when it could not be handled now: Stripe sends it again."""
    _verify(payload, signature)
    event = _read(payload)
    row, _ = StripeWebhookEvent.objects.get_or_create(
        stripe_event_id=event.id,
        defaults={
            "type": event.type,
            "object_id": str(event.object.get("id", ""))[:255],
            "stripe_created_at": event.created_at,
        },
    )
    if row.status != WebhookStatus.RECEIVED:
        return
    # Handled twice at once, an event does no harm: whatever it changes is changed once, under a lock.
    handler = HANDLERS.get(event.type)
    try:
        concerns_us = handler is not None and handler(event.object, event.created_at)
    except StripeUnavailable:
        logger.warning("event not handled, Stripe does not answer", extra={"stripe_event_id": event.id})
        raise Problem(
            503,
            "unavailable",
            "Service unavailable",
            "The event could not be handled now. Send it again.",
            headers={"Retry-After": "10"},
        ) from None
    row.status = WebhookStatus.PROCESSED if concerns_us else WebhookStatus.IGNORED
    row.processed_at = timezone.now()
    row.save()


def _verify(payload: bytes, signature: str) -> None:
    try:
        stripe.WebhookSignature.verify_header(
            payload, signature, settings.STRIPE_WEBHOOK_SECRET, tolerance=TOLERANCE_SECONDS
        )
    # A body that is not UTF-8 and a signature that is not ASCII are not signed by Stripe either.
    except (stripe.SignatureVerificationError, ValueError, TypeError):
        raise Problem(
            400, "signature-invalid", "Signature invalid", "The Stripe-Signature header does not fit the body."
        ) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _read(payload: bytes) -> Event:
    try:
        sent = json.loads(payload)
        event = Event(
            id=_text(sent["id"]),
            type=_text(sent["type"]),
            created_at=datetime.fromtimestamp(int(sent["created"]), UTC),
            object=dict(sent["data"]["object"]),
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, OSError):
        raise malformed("The body is not an event.") from None
    if not 0 < len(event.id) <= 255 or len(event.type) > 100:
        raise malformed("The body is not an event.")
    return event
