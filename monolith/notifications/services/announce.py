"""Where an event leaves the monolith: one decision, and exactly one side acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from banyan import is_enabled, publish_event

from .outgoing import queue_mail

ROLLOUT = "notifications-v2"


def announce(event_type: str, data: Mapping[str, Any], *, subject: str, user_id: int, object_id: int) -> UUID:
    """Publish an event in the caller's transaction and see to its mail.

    The rollout is asked once. The answer travels with the event as its effect owner, so the
    notifications service and the old path below can never both send, or both stay silent, also
    when the percentage changes in between.

    `object_id` is the row that the old path composes its mail from.
    """
    owner = "new" if is_enabled(ROLLOUT, user_id) else "legacy"
    event_id = publish_event(event_type, data, subject=subject, effect_owner=owner)
    if owner == "legacy":
        queue_mail(event_type, event_id, user_id=user_id, object_id=object_id)
    return event_id
