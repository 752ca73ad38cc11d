"""Currencies and what they are worth in each other."""

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


def currency_field() -> "models.ForeignKey[Currency, Currency]":
    """A column `currency` that holds the code itself."""
    return models.ForeignKey(
        Currency, to_field="code", db_column="currency", on_delete=models.PROTECT, related_name="+"
    )


class ExchangeRate(models.Model):
    """How much of `quote` one unit of `base` was worth on a day; for reports, never for charging."""

    base = models.ForeignKey(Currency, to_field="code", db_column="base", on_delete=models.PROTECT, related_name="+")
    quote = models.ForeignKey(Currency, to_field="code", db_column="quote", on_delete=models.PROTECT, related_name="+")
    rate = models.DecimalField(max_digits=18, decimal_places=8)
    valid_on = models.DateField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "payments_exchange_rate"
        constraints = [
            models.UniqueConstraint(fields=["base", "quote", "valid_on"], name="payments_exchange_rate_per_day"),
            models.CheckConstraint(condition=models.Q(rate__gt=0), name="payments_exchange_rate_positive"),
            models.CheckConstraint(condition=~models.Q(base=models.F("quote")), name="payments_exchange_rate_two"),
        ]

    def __str__(self) -> str:
        """The pair and the day."""
        return f"{self.base_id}/{self.quote_id} on {self.valid_on}"
