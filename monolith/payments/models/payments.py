"""Payments, the attempts to make them, and how their status changed."""

from django.conf import settings
from django.db import models

from .currencies import Currency
from .customers import Customer, PaymentMethod


class PaymentStatus(models.TextChoices):
    """Where a payment stands."""

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    REQUIRES_CAPTURE = "requires_capture"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    REFUNDED = "refunded"
    PARTIALLY_REFUNDED = "partially_refunded"
    DISPUTED = "disputed"


class Payment(models.Model):
    """One charge of a user, found again by the client's idempotency key."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="payments")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="payments")
    payment_method = models.ForeignKey(
        PaymentMethod, on_delete=models.SET_NULL, null=True, blank=True, related_name="payments"
    )
    currency = models.ForeignKey(
        Currency, to_field="code", db_column="currency", on_delete=models.PROTECT, related_name="+"
    )
    amount = models.DecimalField(max_digits=14, decimal_places=3)
    amount_refunded = models.DecimalField(max_digits=14, decimal_places=3, default=0)
    status = models.CharField(max_length=20, choices=PaymentStatus.choices, default=PaymentStatus.PENDING)
    # False: the money is only reserved until a capture.
    capture = models.BooleanField(default=True)
    # What was reserved; a capture of less makes `amount` less.
    amount_authorized = models.DecimalField(max_digits=14, decimal_places=3, null=True, blank=True)
    # The cardholder is not there to be asked: a renewal.
    off_session = models.BooleanField(default=False)
    # Something changed that the payouts have not settled yet.
    payout_due = models.BooleanField(default=False)
    description = models.CharField(max_length=500, blank=True)
    idempotency_key = models.CharField(max_length=255)
    # SHA-256 of the canonical request: the same key with another request is refused.
    request_fingerprint = models.CharField(max_length=64)
    stripe_payment_intent_id = models.CharField(max_length=64, null=True, blank=True, unique=True)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "idempotency_key"], name="payments_payment_idempotency_key"),
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="payments_payment_amount_positive"),
            models.CheckConstraint(
                condition=models.Q(amount_refunded__gte=0, amount_refunded__lte=models.F("amount")),
                name="payments_payment_refunded_within_amount",
            ),
            models.CheckConstraint(condition=models.Q(status__in=PaymentStatus.values), name="payments_payment_status"),
            models.CheckConstraint(
                condition=~models.Q(status=PaymentStatus.COMPLETED)
                | models.Q(completed_at__isnull=False, stripe_payment_intent_id__isnull=False),
                name="payments_payment_completed_has_intent",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-created_at", "-id"], name="payments_payment_of_user"),
            models.Index(
                fields=["created_at"],
                condition=models.Q(status=PaymentStatus.PENDING),
                name="payments_payment_pending",
            ),
            models.Index(
                fields=["currency", "completed_at"],
                condition=models.Q(payout_due=True),
                name="payments_payment_payout_due",
            ),
            models.Index(
                fields=["completed_at"],
                condition=models.Q(completed_at__isnull=False),
                name="payments_payment_completed",
            ),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"payment {self.pk} ({self.status})"


class Operation(models.TextChoices):
    """What Stripe was asked to do with a payment."""

    CHARGE = "charge"
    CAPTURE = "capture"
    CANCEL = "cancel"


class AttemptStatus(models.TextChoices):
    """How a call to Stripe ended."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    UNKNOWN = "unknown"


class PaymentAttempt(models.Model):
    """One call to Stripe for a payment, written before it is made."""

    payment = models.ForeignKey(Payment, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    operation = models.CharField(max_length=20, choices=Operation.choices, default=Operation.CHARGE)
    # Of a capture: how much of it.
    amount = models.DecimalField(max_digits=14, decimal_places=3, null=True, blank=True)
    stripe_idempotency_key = models.CharField(max_length=255)
    status = models.CharField(max_length=20, choices=AttemptStatus.choices, default=AttemptStatus.STARTED)
    error_code = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "payments_payment_attempt"
        constraints = [
            models.UniqueConstraint(fields=["payment", "number"], name="payments_payment_attempt_number"),
        ]
        indexes = [
            models.Index(
                fields=["started_at"],
                condition=models.Q(status__in=["started", "unknown"]) & ~models.Q(operation="charge"),
                name="payments_attempt_unsettled",
            ),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"attempt {self.number} of payment {self.payment_id}"


class PaymentStatusChange(models.Model):
    """A payment's way through its statuses."""

    payment = models.ForeignKey(Payment, on_delete=models.CASCADE, related_name="status_changes")
    from_status = models.CharField(max_length=20, choices=PaymentStatus.choices, blank=True)
    to_status = models.CharField(max_length=20, choices=PaymentStatus.choices)
    reason = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "payments_payment_status_change"
        indexes = [models.Index(fields=["payment", "id"], name="payments_status_change_order")]

    def __str__(self) -> str:
        """The row."""
        return f"payment {self.payment_id}: {self.from_status} to {self.to_status}"
