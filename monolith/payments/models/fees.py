"""What Stripe keeps of a payment."""

from django.db import models

from .currencies import currency_field
from .payments import Payment


class FeeSchedule(models.Model):
    """The fee of payments in a currency from a day on, until the next schedule begins."""

    currency = currency_field()
    percent_bp = models.PositiveIntegerField()  # basis points: 290 is 2.9 %
    fixed = models.DecimalField(max_digits=14, decimal_places=3)
    valid_from = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "payments_fee_schedule"
        constraints = [
            models.UniqueConstraint(fields=["currency", "valid_from"], name="payments_fee_schedule_from"),
            models.CheckConstraint(
                condition=models.Q(percent_bp__lte=10_000, fixed__gte=0), name="payments_fee_schedule_range"
            ),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"fees in {self.currency_id} from {self.valid_from:%Y-%m-%d}"


class Fee(models.Model):
    """The fee of one completed payment."""

    payment = models.OneToOneField(Payment, on_delete=models.PROTECT, related_name="fee")
    schedule = models.ForeignKey(FeeSchedule, on_delete=models.PROTECT, related_name="fees")
    amount = models.DecimalField(max_digits=14, decimal_places=3)
    currency = currency_field()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="payments_fee_amount_positive"),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"fee of payment {self.payment_id}"
