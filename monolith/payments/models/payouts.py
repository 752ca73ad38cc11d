"""Payouts: Stripe's balance sent to our bank."""

from django.db import models

from .currencies import currency_field
from .payments import Payment


class PayoutStatus(models.TextChoices):
    """Where a payout stands."""

    PENDING = "pending"
    IN_TRANSIT = "in_transit"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"


class Payout(models.Model):
    """One transfer to the bank, in one currency."""

    currency = currency_field()
    # A sum of payments, so it has more digits than one of them.
    amount = models.DecimalField(max_digits=18, decimal_places=3)
    payment_count = models.PositiveIntegerField()
    status = models.CharField(max_length=20, choices=PayoutStatus.choices, default=PayoutStatus.PENDING)
    stripe_payout_id = models.CharField(max_length=64, null=True, blank=True, unique=True)
    failure_code = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="payments_payout_amount_positive"),
            models.CheckConstraint(condition=models.Q(status__in=PayoutStatus.values), name="payments_payout_status"),
            models.CheckConstraint(
                condition=~models.Q(status=PayoutStatus.PAID) | models.Q(paid_at__isnull=False),
                name="payments_payout_paid_at",
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=models.Q(status__in=[PayoutStatus.PENDING, PayoutStatus.IN_TRANSIT]),
                name="payments_payout_open",
            ),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"payout {self.pk} ({self.status})"


class PayoutItem(models.Model):
    """What one payment adds to a payout.

    The first item of a payment is its amount less refunds, disputes and fee. What changes later is
    settled by a further item, below zero where money has to come back.
    """

    payout = models.ForeignKey(Payout, on_delete=models.CASCADE, related_name="items")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="payout_items")
    amount = models.DecimalField(max_digits=14, decimal_places=3)
    # The payout failed: the item counts no more, its payment is due again.
    is_released = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "payments_payout_item"
        constraints = [
            models.UniqueConstraint(fields=["payout", "payment"], name="payments_payout_item_payment_once"),
            models.CheckConstraint(condition=~models.Q(amount=0), name="payments_payout_item_not_zero"),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"payment {self.payment_id} in payout {self.payout_id}"
