"""The app's configuration."""

from django.apps import AppConfig
from django.core import checks

from banyan.django.checks import check_settings


class BanyanConfig(AppConfig):
    """`"banyan.django"` in `INSTALLED_APPS`; its label in `migrate` is `banyan`."""

    name = "banyan.django"
    label = "banyan"
    verbose_name = "Domain events"

    def ready(self) -> None:
        """Register the checks."""
        checks.register(check_settings)
