"""Currencies."""

from django.core.validators import MaxValueValidator
from django.db import models


class Currency(models.Model):
    """An ISO 4217 currency that payments can be made in."""

    code = models.CharField(max_length=3, unique=True)
    name = models.CharField(max_length=60)
    # ISO 4217 calls it the exponent: digits after the decimal point.
    decimals = models.PositiveSmallIntegerField(validators=[MaxValueValidator(3)])
    is_active = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "currencies"
        constraints = [
            models.CheckConstraint(condition=models.Q(code__regex="^[A-Z]{3}$"), name="payments_currency_code"),
            models.CheckConstraint(condition=models.Q(decimals__lte=3), name="payments_currency_decimals"),
        ]

    def __str__(self) -> str:
        """The code."""
        return self.code
