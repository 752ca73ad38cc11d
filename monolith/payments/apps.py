"""The payments app."""

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    """Customers, payment methods, payments."""

    name = "payments"
