"""The notifications app."""

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """Mails about payments, accounts and reports."""

    name = "notifications"

    def ready(self) -> None:
        """Listen to the other apps."""
        from . import receivers  # noqa: F401
