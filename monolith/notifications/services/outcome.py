"""Writing down what became of a notification, and telling of it. Runs inside the caller's transaction."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from banyan import publish_event
from django.conf import settings
from django.utils import timezone

from notifications.models import NotificationLog, Status

logger = logging.getLogger(__name__)

# Until `retry_failed_deliveries` takes up what failed for a reason that may have passed.
RETRY_FAILED_AFTER = timedelta(hours=1)


def delivered(log: NotificationLog, template_version: int, digest_id: UUID | None = None) -> None:
    """The mail server took it."""
    log.status, log.error, log.sent_at = Status.DELIVERED, "", timezone.now()
    log.retryable, log.template_version, log.digest_id = False, template_version, digest_id
    log.save()
    publish_event(
        "notification.delivered",
        {
            "notificationId": log.pk,
            "userId": log.user_id,
            "channel": log.channel,
            "template": log.template,
            "eventId": str(log.event_id),
            "deliveredAt": log.sent_at,
        },
        subject=f"notification/{log.pk}",
    )


def failed(log: NotificationLog, reason: str, *, retryable: bool) -> None:
    """It was given up, at least for now; that is told once."""
    first = log.status != Status.FAILED
    log.status, log.error, log.retryable = Status.FAILED, reason, retryable
    log.next_attempt_at = timezone.now() + RETRY_FAILED_AFTER
    log.save()
    logger.error("mail given up", extra={"notification_id": log.pk, "template": log.template, "reason": reason})
    if first:
        publish_event(
            "notification.failed",
            {
                "notificationId": log.pk,
                "userId": log.user_id,
                "channel": log.channel,
                "template": log.template,
                "eventId": str(log.event_id),
                "reason": reason,
                "attempts": log.attempts,
            },
            subject=f"notification/{log.pk}",
        )


def kept_for_digest(log: NotificationLog) -> None:
    """It goes out with the next daily summary."""
    now = timezone.now()
    today = now.replace(hour=settings.DIGEST_HOUR, minute=0, second=0, microsecond=0)
    log.digest, log.next_attempt_at = True, today if today > now else today + timedelta(days=1)
    log.save()


def suppressed(log: NotificationLog, reason: str) -> None:
    """The user does not get it."""
    log.status, log.error, log.retryable = Status.SUPPRESSED, reason, False
    log.save()


def postponed(log: NotificationLog, reason: str, delay: timedelta) -> None:
    """It is tried again later."""
    log.error, log.next_attempt_at = reason, timezone.now() + delay
    log.save()
    logger.warning("mail not accepted", extra={"notification_id": log.pk, "reason": reason})
