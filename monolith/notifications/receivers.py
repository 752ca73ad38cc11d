"""What this app does when something happens in another one."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from users.signals import account_erased

from .services.cleanup import forget_user


@receiver(account_erased)
def forget_erased_account(user_id: int, **_: Any) -> None:
    """An account was erased: nothing of it is kept here either."""
    forget_user(user_id)
