"""The notifications app."""

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """Mails about payments and accounts."""

    name = "notifications"
