"""The reporting app."""

from django.apps import AppConfig


class ReportingConfig(AppConfig):
    """Figures and exports."""

    name = "reporting"

    def ready(self) -> None:
        """Listen to the other apps."""
        from . import receivers  # noqa: F401
