"""Handing mails to the mail server, and what its refusals mean."""

from __future__ import annotations

import smtplib
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from .mails import Mail


class MailRefused(Exception):
    """The server did not take a mail; `for_good` says whether another try is pointless."""

    def __init__(self, reason: str, *, for_good: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.for_good = for_good


def message_id(cause: UUID) -> str:
    """The Message-ID of the mail about an event or a digest; the same at every try."""
    return f"<{cause}.email@{settings.MAIL_DOMAIN}>"


def send(mail: Mail, cause: UUID) -> None:
    """Send a mail about an event or a digest."""
    message = EmailMultiAlternatives(
        mail.subject,
        mail.text,
        settings.DEFAULT_FROM_EMAIL,
        [mail.to],
        headers={
            "Message-ID": message_id(cause),
            "X-Banyan-Sender": "monolith",
            "X-Banyan-Event-Id": str(cause),
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(mail.html, "text/html")
    try:
        message.send()
    except (smtplib.SMTPException, OSError) as error:
        code = _code(error)
        # The server's words are not kept: they often repeat the address.
        reason = f"SMTP {code}" if code else type(error).__name__
        raise MailRefused(reason, for_good=code is not None and code >= 500) from error


def _code(error: Exception) -> int | None:
    """The server's answer; None where there was none, such as a refused connection."""
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return min((code for code, _ in error.recipients.values()), default=None)
    return None
