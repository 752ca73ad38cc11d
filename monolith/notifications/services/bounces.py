"""Working off the mailbox that delivery reports come to."""

from __future__ import annotations

import logging
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from notifications.bounces import Bounce, read
from notifications.models import NotificationLog, Status
from users.models import EmailAddress

from . import outcome

logger = logging.getLogger(__name__)

BATCH = 1000


def work_off(maildir: Path) -> int:
    """Apply the reports in a Maildir; how many addresses do not work any more.

    A report is moved to `cur` after its effect is committed: a crash repeats it, which changes nothing.
    """
    marked = 0
    waiting = sorted(path for path in (maildir / "new").iterdir() if path.is_file())
    for path in waiting[:BATCH]:
        bounces = read(path.read_bytes(), settings.MAIL_DOMAIN)
        if not bounces:
            # The name of the file, not its content: that is personal.
            logger.warning("a mail in the bounce mailbox is no report on ours", extra={"file": path.name})
        marked += sum(_apply(bounce) for bounce in bounces)
        path.rename(maildir / "cur" / f"{path.name}:2,S")
    return marked


def _apply(bounce: Bounce) -> bool:
    """One failure; whether it marked an address."""
    mailed = Q(event_id=bounce.cause) | Q(digest_id=bounce.cause)
    with transaction.atomic():
        delivered = NotificationLog.objects.select_for_update().filter(mailed, channel="email", status=Status.DELIVERED)
        logs = list(delivered.order_by("id"))
        for log in logs:
            outcome.failed(log, f"bounced with status {bounce.status}", retryable=False)
        # Only the address that the mail went to, and only while it still is the user's.
        addresses = EmailAddress.objects.filter(user__in={log.user_id for log in logs}, bounced_at=None)
        return addresses.filter(email=bounce.recipient.lower()).update(bounced_at=timezone.now()) > 0
