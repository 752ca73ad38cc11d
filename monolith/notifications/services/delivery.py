"""Sending one notification."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from django.db import DatabaseError, transaction
from django.utils import timezone

from notifications.kinds import KINDS
from notifications.models import NotificationLog, Preference, Status
from users.models import EmailAddress

from . import outcome
from .mails import Mail, compose
from .smtp import MailRefused, send

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 10
# Those of `retry_failed_deliveries` included.
MAX_ATTEMPTS_IN_ALL = 20
FIRST_DELAY_SECONDS = 5
LONGEST_DELAY_SECONDS = 300


class TryAgain(Exception):
    """The mail server could not take the mail now; `delay` in seconds."""

    def __init__(self, delay: int) -> None:
        super().__init__(f"try again in {delay} s")
        self.delay = delay


def deliver(event_id: UUID, *, channel: str = "email") -> None:
    """Send the notification of an event, unless that was done or is being done.

    The row is locked while the mail is sent, so two workers cannot send it twice. A worker that
    dies between the server's acceptance and the commit lets it be sent again under the same
    Message-ID; mail has no protocol that could exclude this.
    """
    due = NotificationLog.objects.filter(
        event_id=event_id, channel=channel, status=Status.QUEUED, digest=False, next_attempt_at__lte=timezone.now()
    )
    with transaction.atomic():
        log = due.select_for_update(skip_locked=True, of=("self",)).select_related("user").first()
        delay = None if log is None else _attempt(log)
    # Raised outside the transaction, so that the row keeps what was tried.
    if delay is not None:
        raise TryAgain(delay)


def retry_failed(log_id: int) -> bool:
    """One more try of a notification that failed; whether it was sent."""
    again = NotificationLog.objects.filter(pk=log_id, status=Status.FAILED, retryable=True)
    with transaction.atomic():
        log = again.select_for_update(skip_locked=True, of=("self",)).select_related("user").first()
        if log is None:
            return False
        _attempt(log)
        return log.status == Status.DELIVERED


def _attempt(log: NotificationLog) -> int | None:
    """Try once; the seconds to wait before the next try, if there is to be one."""
    if refusal := _refusal(log):
        return outcome.suppressed(log, refusal)
    if log.status == Status.QUEUED and _waits_for_digest(log):
        return outcome.kept_for_digest(log)
    log.attempts += 1
    mail = try_to_compose(log)
    if mail is None:
        # A template can be mended, and then the job `retry_failed_deliveries` sends it.
        return outcome.failed(log, "the mail could not be composed", retryable=log.attempts < MAX_ATTEMPTS_IN_ALL)
    if EmailAddress.objects.filter(email=mail.to, bounced_at__isnull=False).exists():
        return outcome.suppressed(log, "the address bounces")
    try:
        send(mail, log.event_id)
    except MailRefused as refused:
        return _refused(log, refused)
    return outcome.delivered(log, mail.template_version)


def try_to_compose(log: NotificationLog) -> Mail | None:
    """The mail of a notification; None when its template or its rows are broken."""
    try:
        # What fails in the database must not take the rest of the transaction with it.
        with transaction.atomic():
            return compose(log)
    except DatabaseError:
        raise
    except Exception:
        logger.exception("mail not composed", extra={"notification_id": log.pk, "template": log.template})
        return None


def _refused(log: NotificationLog, refused: MailRefused) -> int | None:
    last = log.attempts >= MAX_ATTEMPTS or log.status == Status.FAILED
    if refused.for_good or last:
        retryable = not refused.for_good and log.attempts < MAX_ATTEMPTS_IN_ALL
        return outcome.failed(log, refused.reason, retryable=retryable)
    delay = min(FIRST_DELAY_SECONDS * 2 ** (log.attempts - 1), LONGEST_DELAY_SECONDS)
    outcome.postponed(log, refused.reason, timedelta(seconds=delay))
    return delay


def _refusal(log: NotificationLog) -> str | None:
    """Why the user does not get this notification."""
    if not log.user.is_active:
        return "the account is closed"
    kind = KINDS[log.event_type]
    if kind.mandatory:
        return None
    off = Preference.objects.filter(user_id=log.user_id, category=kind.category, enabled=False)
    return "switched off by the user" if off.exists() else None


def _waits_for_digest(log: NotificationLog) -> bool:
    kind = KINDS[log.event_type]
    if kind.mandatory:
        return False
    return Preference.objects.filter(user_id=log.user_id, category=kind.category, digest=True).exists()
