"""A real SMTP server that keeps what it gets."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


class MailSink:
    """Keeps messages; with `answer` set it refuses them with that line."""

    def __init__(self, port: int) -> None:
        self.messages: list[EmailMessage] = []
        self.answer: str | None = None
        self.tries = 0
        self._controller = Controller(self, hostname="127.0.0.1", port=port)
        self._controller.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a message, or not."""
        self.tries += 1
        if self.answer is not None:
            return self.answer
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.messages.append(message)  # type: ignore[arg-type]
        return "250 kept"

    def reset(self) -> None:
        """Accept mail again, and forget what came."""
        self.messages.clear()
        self.answer = None
        self.tries = 0

    def stop(self) -> None:
        """Stop listening."""
        self._controller.stop()
