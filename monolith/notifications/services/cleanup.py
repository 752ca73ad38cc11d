"""Forgetting: old rows, and people who left."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from notifications.models import Device, NotificationLog, Preference, Status

KEEP = timedelta(days=180)
CHUNK = 5000
# Ids of rows that were born in the notifications service begin here; a sync brings them.
BORN_IN_SERVICE = 2**40
_ERASED = "the account was erased"


def purge_logs() -> int:
    """Delete old rows, but none that is still to be sent; how many. In pieces, so that locks stay short."""
    old = NotificationLog.objects.filter(created_at__lt=timezone.now() - KEEP).exclude(status=Status.QUEUED)
    purged = 0
    while True:
        done, _ = NotificationLog.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:CHUNK])).delete()
        purged += done
        if done < CHUNK:
            return purged


def forget_user(user_id: int) -> None:
    """Erase what is known of a user; of the log only what was sent when stays. In the caller's transaction.

    What the notifications service has queued it suppresses itself, and what has nothing to forget is not written
    again: a sync would take either for a change.
    """
    Preference.objects.filter(user_id=user_id).delete()
    Device.objects.filter(user_id=user_id).delete()
    logs = NotificationLog.objects.filter(user_id=user_id)
    sent = logs.exclude(status=Status.QUEUED).exclude(error=_ERASED)
    sent.filter(~Q(error="") | Q(retryable=True)).update(error="", retryable=False)
    queued = logs.filter(status=Status.QUEUED, pk__lt=BORN_IN_SERVICE)
    queued.update(status=Status.SUPPRESSED, error=_ERASED, retryable=False)
