"""Password rules as field errors."""

from __future__ import annotations

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from common.problems import invalid

from .models import User


def check_password_rules(password: str, user: User, *, display_name: str, field: str = "password") -> None:
    """Answer 422 with every rule that the password breaks."""
    user.display_name = display_name  # type: ignore[attr-defined]
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise invalid([{"field": field, "message": message} for message in error.messages]) from None
