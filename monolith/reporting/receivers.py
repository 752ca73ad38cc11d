"""What this app does when something happens in another one."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from users.signals import account_erased

from .services.exports import give_up_exports


@receiver(account_erased)
def drop_exports_of_erased_account(user_id: int, **_: Any) -> None:
    """An account was erased: nobody can fetch its exports any more."""
    give_up_exports(user_id)
