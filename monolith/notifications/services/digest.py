"""The daily summary: one mail with everything that a user did not want at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction
from django.utils import timezone

from notifications.kinds import DIGEST_TEMPLATE
from notifications.models import NotificationLog, Status
from users.models import EmailAddress, User

from . import outcome
from .delivery import MAX_ATTEMPTS, try_to_compose
from .mails import put_into_words
from .smtp import MailRefused, send

RETRY_AFTER = timedelta(minutes=15)
# Of one mail; the rest goes into the next one.
MOST_ITEMS = 200
# Digests are named after their oldest notification, so a repeated one has the same Message-ID.
_NAMESPACE = UUID("5b1f5c0e-6f0b-4f0e-9a52-6f2f0f4a7f10")


def readers() -> list[int]:
    """The users for whom something waits."""
    return list(_waiting().order_by("user_id").values_list("user_id", flat=True).distinct())


def send_digest(user_id: int) -> bool:
    """Send what waits for a user; whether a mail was sent."""
    with transaction.atomic():
        rows = _waiting().filter(user_id=user_id).select_for_update(skip_locked=True, of=("self",))
        logs = list(rows.select_related("user__profile").order_by("created_at", "id")[:MOST_ITEMS])
        address = _address(user_id)
        if address is None:
            for log in logs:
                outcome.suppressed(log, "no working address is known")
            return False
        items = {log.pk: item for log in logs if (item := _item(log)) is not None}
        logs = [log for log in logs if log.pk in items]
        return bool(logs) and _send(logs, logs[0].user, address, list(items.values()))


def _waiting() -> Any:
    return NotificationLog.objects.filter(status=Status.QUEUED, digest=True, next_attempt_at__lte=timezone.now())


def _address(user_id: int) -> str | None:
    working = EmailAddress.objects.filter(user_id=user_id, is_primary=True, bounced_at=None, user__is_active=True)
    return working.values_list("email", flat=True).first()


def _item(log: NotificationLog) -> dict[str, Any] | None:
    """A line of the summary: the subject that a mail of its own would have had. A broken one fails alone."""
    log.attempts += 1
    mail = try_to_compose(log)
    if mail is None:
        outcome.failed(log, "the mail could not be composed", retryable=True)
        return None
    return {"title": mail.subject, "at": log.created_at}


def _send(logs: list[NotificationLog], user: User, address: str, items: list[dict[str, Any]]) -> bool:
    digest_id = uuid5(_NAMESPACE, str(logs[0].event_id))
    mail = put_into_words(DIGEST_TEMPLATE, user, address, {"items": items})
    try:
        send(mail, digest_id)
    except MailRefused as refused:
        for log in logs:
            if refused.for_good or log.attempts >= MAX_ATTEMPTS:
                outcome.failed(log, refused.reason, retryable=False)
            else:
                outcome.postponed(log, refused.reason, RETRY_AFTER)
        return False
    for log in logs:
        outcome.delivered(log, mail.template_version, digest_id)
    return True
