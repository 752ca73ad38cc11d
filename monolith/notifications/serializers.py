"""Notifications as JSON."""

from __future__ import annotations

from typing import Any

from common.times import rfc3339, rfc3339_or_none

from .models import NotificationLog
from .services.preferences import Choice


def notification_json(log: NotificationLog) -> dict[str, Any]:
    """The notification as its user sees it."""
    return {
        "id": log.pk,
        "eventId": str(log.event_id),
        "eventType": log.event_type,
        "channel": log.channel,
        "template": log.template,
        "status": log.status,
        "attempts": log.attempts,
        "error": log.error or None,
        "createdAt": rfc3339(log.created_at),
        "sentAt": rfc3339_or_none(log.sent_at),
    }


def preferences_json(choices: dict[str, Choice]) -> dict[str, Any]:
    """The choices as their user sees them."""
    return {
        "categories": [
            {
                "category": category,
                "enabled": choice.enabled,
                "channel": choice.channel,
                "digest": choice.digest,
            }
            for category, choice in choices.items()
        ]
    }
