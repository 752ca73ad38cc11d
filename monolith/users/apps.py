"""The users app."""

from django.apps import AppConfig


class UsersConfig(AppConfig):
    """Accounts and sessions."""

    name = "users"
