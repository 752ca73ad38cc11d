"""Celery tasks of the old notification path.

Each may run any number of times: the notifications' rows decide.
"""

from __future__ import annotations

import logging
from pathlib import Path
from uuid import UUID

from celery import Task, shared_task
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from .models import NotificationLog, Status
from .services.bounces import work_off
from .services.cleanup import purge_logs
from .services.delivery import TryAgain, deliver, retry_failed
from .services.digest import readers, send_digest
from .services.outgoing import enqueue_forgotten

logger = logging.getLogger(__name__)

DATABASE_RETRY_SECONDS = 15
RETRY_BATCH = 200


@shared_task(name="notifications.deliver_pending", bind=True, max_retries=None)
def deliver_pending(self: Task, event_id: str | None = None) -> int:
    """Send the notification of an event; without one, start the tasks of those whose own task was lost."""
    if event_id is None:
        return enqueue_forgotten()
    try:
        deliver(UUID(event_id))
    except TryAgain as again:  # the row counts the tries
        raise self.retry(countdown=again.delay) from again
    except (OperationalError, InterfaceError) as error:
        raise self.retry(countdown=DATABASE_RETRY_SECONDS) from error
    return 1


@shared_task(name="notifications.retry_failed_deliveries")
def retry_failed_deliveries() -> int:
    """Try again what failed for a reason that may have passed; how many were sent."""
    due = NotificationLog.objects.filter(status=Status.FAILED, retryable=True, next_attempt_at__lte=timezone.now())
    found = due.order_by("next_attempt_at").values_list("pk", flat=True)[:RETRY_BATCH]
    return sum(retry_failed(log_id) for log_id in list(found))


@shared_task(name="notifications.send_daily_digest")
def send_daily_digest() -> int:
    """Send the daily summaries; how many. What the mail server refused stays for the next run."""
    sent = 0
    for user_id in readers():
        try:
            sent += send_digest(user_id)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one user's broken digest is no reason to keep everybody else waiting
            logger.exception("digest not sent", extra={"user_id": user_id})
    return sent


@shared_task(name="notifications.process_bounces")
def process_bounces() -> int:
    """Read the delivery reports that came in; how many addresses do not work any more."""
    return work_off(Path(settings.BOUNCE_MAILDIR)) if settings.BOUNCE_MAILDIR else 0


@shared_task(name="notifications.purge_old_logs")
def purge_old_logs() -> int:
    """Delete what nobody asks about any more; how many rows."""
    return purge_logs()
