"""The reporting app."""

from django.apps import AppConfig


class ReportingConfig(AppConfig):
    """Reports; nothing here yet."""

    name = "reporting"
