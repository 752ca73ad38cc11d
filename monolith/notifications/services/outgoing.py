"""Queueing mails."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from notifications.kinds import KINDS
from notifications.models import NotificationLog

logger = logging.getLogger(__name__)


def queue_mail(event_type: str, event_id: UUID, *, user_id: int, object_id: int) -> None:
    """Note a mail in the caller's transaction, and start its task once that has committed."""
    log = NotificationLog.objects.create(
        event_id=event_id,
        event_type=event_type,
        user_id=user_id,
        object_id=object_id,
        template=KINDS[event_type].template,
    )
    transaction.on_commit(lambda: enqueue(log))


def enqueue(log: NotificationLog) -> None:
    """Start the task of a queued notification.

    A broker that is away is no reason to fail a request whose transaction has committed: the row
    stays queued and `deliver_pending` starts the task later.
    """
    try:
        current_app.send_task(KINDS[log.event_type].task, args=[log.object_id, str(log.event_id)])
    except (OperationalError, OSError):
        logger.warning("mail not queued, the broker is away", extra={"notification_id": log.pk})
