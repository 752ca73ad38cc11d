"""Logging in."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from common.problems import Problem
from users.models import User

from .attempts import right_password
from .sessions import Client, Tokens, open_session


def log_in(email: str, password: str, client: Client) -> tuple[User, Tokens]:
    """A session for the right password. The answer never tells whether the account exists."""
    user = User.objects.select_related("profile").filter(email=email, is_active=True).first()
    if not right_password(user, email, password, client) or user is None:
        raise _refused()
    with transaction.atomic():
        # The account may have been erased, or the password changed, while it was checked.
        current = User.objects.filter(pk=user.pk, is_active=True, password=user.password)
        if not current.update(last_login=timezone.now()):
            raise _refused()
        return user, open_session(user, client)


def _refused() -> Problem:
    return Problem(401, "invalid-credentials", "Invalid credentials", "The e-mail address or the password is wrong.")
