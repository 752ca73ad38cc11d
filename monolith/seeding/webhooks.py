"""Stripe's events."""

from __future__ import annotations

from random import Random

from payments.models import StripeWebhookEvent, WebhookStatus
from payments.services.stripe_events import HANDLERS

from .clock import Clock
from .sheets import NULL, Sheets
from .tokens import hexadecimal

# One event in so many brings another one of a type that nobody handles.
_IGNORED_EVERY = 200
_IGNORED = "customer.updated"
_RECENT = 10 * 60


class Webhooks:
    """Writes the events as their objects change."""

    def __init__(self, sheets: Sheets, clock: Clock, rng: Random) -> None:
        self.clock, self.rng = clock, rng
        self.events = sheets.of(
            StripeWebhookEvent, "id stripe_event_id type object_id status stripe_created_at created_at processed_at"
        )

    def write(self, moment: int, event: str, object_id: str) -> None:
        """An event, a second after what it tells of."""
        at = self.clock.at
        told, event_id = at(moment), self.events.next_id()
        status, processed = WebhookStatus.PROCESSED.value, told
        if moment > self.clock.end - _RECENT:
            # Handling it failed, or is under way.
            status, processed = WebhookStatus.RECEIVED.value, NULL
        elif event not in HANDLERS:
            status = WebhookStatus.IGNORED.value
        self.events.add(
            f"{event_id}\tevt_{hexadecimal(self.rng, 24)}\t{event}\t{object_id}\t{status}\t{told}\t{told}\t"
            f"{processed}\n"
        )
        if event_id % _IGNORED_EVERY == 7:
            self.write(moment, _IGNORED, f"cus_{hexadecimal(self.rng, 14)}")
