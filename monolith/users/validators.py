"""Password rules beside Django's own."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError


class NotSimilarToAccount:
    """Refuses a password that contains the address's local part or the name."""

    def validate(self, password: str, user: Any = None) -> None:
        """`user` has `email` and, before its profile is saved, `display_name`."""
        lowered = password.lower()
        email = getattr(user, "email", "")
        name = getattr(user, "display_name", "")
        for part in (email.partition("@")[0], email, name):
            if len(part) >= 4 and part.lower() in lowered:
                raise ValidationError("The password is too similar to the name or e-mail address.")

    def get_help_text(self) -> str:
        """The rule in words."""
        return "The password must not contain your name or e-mail address."
