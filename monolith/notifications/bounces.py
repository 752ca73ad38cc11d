"""Delivery reports (RFC 3464): which of our mails could not be delivered, for good."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from uuid import UUID

_PERMANENT = re.compile(r"5\.[0-9]{1,3}\.[0-9]{1,3}")


@dataclass(frozen=True)
class Bounce:
    """A mail of ours that a server gave up on."""

    cause: UUID
    """The event or the digest whose mail it was, read from its Message-ID."""
    recipient: str
    status: str
    """Enhanced status code (RFC 3463): `5.1.1` …"""


def read(raw: bytes, mail_domain: str) -> list[Bounce]:
    """The permanent failures in a report on a mail with a Message-ID of ours; none for any other mail.

    Without our Message-ID anybody could silence anybody's mail.
    """
    mail = email.message_from_bytes(raw, policy=email.policy.compat32)
    cause = _cause(mail, mail_domain)
    if cause is None:
        return []
    return [Bounce(cause, recipient, status) for recipient, status in _failures(mail)]


def _parts(mail: Message, *types: str) -> Iterator[Message]:
    if mail.get_content_type() == "multipart/report" and mail.is_multipart():
        yield from (part for part in mail.get_payload() if part.get_content_type() in types)


def _cause(mail: Message, mail_domain: str) -> UUID | None:
    for part in _parts(mail, "message/rfc822", "text/rfc822-headers"):
        returned = part.get_payload(0) if part.is_multipart() else _headers(part)
        match = re.fullmatch(
            rf"<([0-9a-f-]{{36}})\.email@{re.escape(mail_domain)}>",
            str(returned.get("Message-ID", "")).strip(),
            re.IGNORECASE,
        )
        if match:
            try:
                return UUID(match[1])
            except ValueError:
                return None
    return None


def _headers(part: Message) -> Message:
    return email.message_from_bytes(part.get_payload(decode=True) or b"")


def _failures(mail: Message) -> Iterator[tuple[str, str]]:
    """Recipient and status of each recipient block whose action is `failed` (RFC 3464 section 2.3)."""
    for part in _parts(mail, "message/delivery-status"):
        for block in part.get_payload() if part.is_multipart() else []:
            recipient = str(block.get("Original-Recipient") or block.get("Final-Recipient") or "")
            status = str(block.get("Status", "")).strip()
            failed = str(block.get("Action", "")).strip().lower() == "failed"
            if failed and recipient and _PERMANENT.fullmatch(status):
                yield recipient.rpartition(";")[2].strip(), status
