"""What payments does about what happens elsewhere."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from users.signals import account_erased

from .services.cancel_subscription import end_all_of


@receiver(account_erased)
def end_subscriptions(user_id: int, **_: Any) -> None:
    """Whoever closes the account is charged no more."""
    end_all_of(user_id)
