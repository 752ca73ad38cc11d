"""Celery tasks of the old notification path. They take ids and read the rest themselves.

Each task may run any number of times for one event: the notification's row decides.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import Task, shared_task
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from .models import NotificationLog, Status
from .services.delivery import TryAgain, deliver
from .services.outgoing import enqueue

# How long a queued notification's own task has before `deliver_pending` starts another.
GRACE = timedelta(seconds=60)
BATCH = 500

_options: dict[str, Any] = {
    "bind": True,
    "max_retries": None,  # the notification's row counts
    "autoretry_for": (OperationalError, InterfaceError),
    "retry_backoff": True,
    "retry_backoff_max": 60,
}


def _deliver(task: Task, event_id: str) -> None:
    try:
        deliver(UUID(event_id))
    except TryAgain as again:
        raise task.retry(countdown=again.delay) from again


@shared_task(name="notifications.send_payment_email", **_options)
def send_payment_email(self: Task, payment_id: int, event_id: str) -> None:
    """The receipt of a completed payment."""
    _deliver(self, event_id)


@shared_task(name="notifications.send_payment_failed_email", **_options)
def send_payment_failed_email(self: Task, payment_id: int, event_id: str) -> None:
    """The news that a payment was declined."""
    _deliver(self, event_id)


@shared_task(name="notifications.send_signup_email", **_options)
def send_signup_email(self: Task, verification_id: int, event_id: str) -> None:
    """The welcome, with the link that proves the address."""
    _deliver(self, event_id)


@shared_task(name="notifications.send_password_reset_email", **_options)
def send_password_reset_email(self: Task, reset_id: int, event_id: str) -> None:
    """The link to set a new password."""
    _deliver(self, event_id)


@shared_task(name="notifications.send_email_verified_email", **_options)
def send_email_verified_email(self: Task, address_id: int, event_id: str) -> None:
    """The confirmation that an address was proven."""
    _deliver(self, event_id)


@shared_task(name="notifications.deliver_pending")
def deliver_pending() -> int:
    """Start the tasks of notifications whose own task was lost; how many there were."""
    now = timezone.now()
    due = NotificationLog.objects.filter(status=Status.QUEUED, next_attempt_at__lt=now - GRACE)
    found = list(due.order_by("next_attempt_at")[:BATCH])
    # Gives the new tasks the same grace, so that a long queue is not made longer at every run.
    due.filter(pk__in=[log.pk for log in found]).update(next_attempt_at=now)
    for log in found:
        enqueue(log)
    return len(found)
