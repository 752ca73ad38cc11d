"""Sending one queued notification."""

from __future__ import annotations

import logging
import smtplib
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import DatabaseError, transaction
from django.utils import timezone

from notifications.kinds import KINDS
from notifications.models import NotificationLog, Preference, Status

from .mails import Mail, compose

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 10
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
    with transaction.atomic():
        log = (
            NotificationLog.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("user")
            .filter(event_id=event_id, channel=channel, status=Status.QUEUED, next_attempt_at__lte=timezone.now())
            .first()
        )
        if log is None:
            return
        delay = _attempt(log)
        log.save()
    # Raised outside the transaction, so that the row keeps what was tried.
    if delay is not None:
        raise TryAgain(delay)


def _attempt(log: NotificationLog) -> int | None:
    """Try once; the seconds to wait before the next try, if there is to be one."""
    if refusal := _refusal(log):
        log.status, log.error = Status.SUPPRESSED, refusal
        return None
    log.attempts += 1
    try:
        mail = compose(log.event_type, log.template, log.object_id)
    except DatabaseError:
        raise
    except Exception:  # a broken template or a missing row does not mend itself
        logger.exception("mail not composed", extra={"notification_id": log.pk, "template": log.template})
        log.status, log.error = Status.FAILED, "the mail could not be composed"
        return None
    try:
        _send(log, mail)
    except (smtplib.SMTPException, OSError) as error:
        return _failed(log, error)
    log.status, log.error, log.sent_at = Status.DELIVERED, "", timezone.now()
    return None


def _refusal(log: NotificationLog) -> str | None:
    """Why the user does not get this notification."""
    if not log.user.is_active:
        return "the account is closed"
    kind = KINDS[log.event_type]
    if kind.mandatory:
        return None
    off = Preference.objects.filter(user_id=log.user_id, category=kind.category, enabled=False)
    return "switched off by the user" if off.exists() else None


def _send(log: NotificationLog, mail: Mail) -> None:
    message = EmailMultiAlternatives(
        mail.subject,
        mail.text,
        settings.DEFAULT_FROM_EMAIL,
        [mail.to],
        headers={
            "Message-ID": f"<{log.event_id}.{log.channel}@{settings.MAIL_DOMAIN}>",
            "X-Banyan-Sender": "monolith",
            "X-Banyan-Event-Id": str(log.event_id),
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(mail.html, "text/html")
    message.send()


def _failed(log: NotificationLog, error: Exception) -> int | None:
    code = _smtp_code(error)
    # The server's words are not kept: they often repeat the address.
    log.error = f"SMTP {code}" if code else type(error).__name__
    if (code is not None and code >= 500) or log.attempts >= MAX_ATTEMPTS:
        log.status = Status.FAILED
        logger.error("mail given up", extra={"notification_id": log.pk, "reason": log.error})
        return None
    delay = min(FIRST_DELAY_SECONDS * 2 ** (log.attempts - 1), LONGEST_DELAY_SECONDS)
    log.next_attempt_at = timezone.now() + timedelta(seconds=delay)
    logger.warning("mail not accepted", extra={"notification_id": log.pk, "reason": log.error})
    return delay


def _smtp_code(error: Exception) -> int | None:
    """The server's answer; None where there was none, such as a refused connection."""
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return min((code for code, _ in error.recipients.values()), default=None)
    return None
