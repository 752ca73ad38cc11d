"""The payments app."""

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    """Payments, and all that follows from them: refunds, disputes, payouts, ledger, subscriptions."""

    name = "payments"

    def ready(self) -> None:
        """Listen to the other apps."""
        from . import receivers  # noqa: F401
