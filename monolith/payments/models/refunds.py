"""Refunds."""

from django.db import models

from .currencies import currency_field
from .payments import Payment


class RefundStatus(models.TextChoices):
    """Where a refund stands."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RefundReason(models.TextChoices):
    """Why money is given back, in Stripe's words."""

    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    REQUESTED_BY_CUSTOMER = "requested_by_customer"


class Refund(models.Model):
    """Money of a payment given back, all or part of it."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    amount = models.DecimalField(max_digits=14, decimal_places=3)
    currency = currency_field()
    status = models.CharField(max_length=20, choices=RefundStatus.choices, default=RefundStatus.PENDING)
    reason = models.CharField(max_length=30, choices=RefundReason.choices, blank=True)
    # Null: not asked for through the API, but made in Stripe's dashboard.
    idempotency_key = models.CharField(max_length=255, null=True, blank=True)
    request_fingerprint = models.CharField(max_length=64, blank=True)
    stripe_refund_id = models.CharField(max_length=64, null=True, blank=True, unique=True)
    failure_code = models.CharField(max_length=64, blank=True)
    # The last call to Stripe: open while `finished_at` is null.
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["payment", "idempotency_key"], name="payments_refund_idempotency_key"),
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="payments_refund_amount_positive"),
            models.CheckConstraint(condition=models.Q(status__in=RefundStatus.values), name="payments_refund_status"),
            models.CheckConstraint(
                condition=~models.Q(status=RefundStatus.SUCCEEDED)
                | models.Q(completed_at__isnull=False, stripe_refund_id__isnull=False),
                name="payments_refund_succeeded_is_at_stripe",
            ),
        ]
        indexes = [
            models.Index(fields=["payment", "-created_at", "-id"], name="payments_refund_of_payment"),
            models.Index(
                fields=["created_at"],
                condition=models.Q(status=RefundStatus.PENDING),
                name="payments_refund_pending",
            ),
            models.Index(
                fields=["completed_at"],
                condition=models.Q(status=RefundStatus.SUCCEEDED),
                name="payments_refund_completed",
            ),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"refund {self.pk} of payment {self.payment_id} ({self.status})"
