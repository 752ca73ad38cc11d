"""Queueing mails."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from common.tasks import start_task
from notifications.kinds import KINDS
from notifications.models import NotificationLog, Status

TASK = "notifications.deliver_pending"
# How long a queued notification's own task has before another one is started.
GRACE = timedelta(seconds=60)
BATCH = 500


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
    """Start the task of a queued notification; if that fails, the periodic `deliver_pending` does it later."""
    start_task(TASK, str(log.event_id))


def enqueue_forgotten() -> int:
    """Start the tasks of notifications whose own task was lost; how many there were."""
    now = timezone.now()
    due = NotificationLog.objects.filter(status=Status.QUEUED, digest=False, next_attempt_at__lt=now - GRACE)
    found = list(due.order_by("next_attempt_at")[:BATCH])
    # Gives the new tasks the same grace, so that a long queue is not made longer at every run.
    due.filter(pk__in=[log.pk for log in found]).update(next_attempt_at=now)
    for log in found:
        enqueue(log)
    return len(found)
