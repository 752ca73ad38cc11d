"""Disputes: cardholders who tell their bank that a payment was wrong."""

from django.db import models

from .currencies import currency_field
from .payments import Payment


class DisputeStatus(models.TextChoices):
    """Where a dispute stands, in Stripe's words. The `warning_` ones are inquiries: no money has moved."""

    WARNING_NEEDS_RESPONSE = "warning_needs_response"
    WARNING_UNDER_REVIEW = "warning_under_review"
    WARNING_CLOSED = "warning_closed"
    NEEDS_RESPONSE = "needs_response"
    UNDER_REVIEW = "under_review"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"


class Dispute(models.Model):
    """A dispute of a payment."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="disputes")
    stripe_dispute_id = models.CharField(max_length=64, unique=True)
    amount = models.DecimalField(max_digits=14, decimal_places=3)
    currency = currency_field()
    reason = models.CharField(max_length=60)
    status = models.CharField(max_length=30, choices=DisputeStatus.choices)
    # Stripe has taken the amount from our balance, for the time of the dispute or for good.
    is_withdrawn = models.BooleanField(default=False)
    due_by = models.DateTimeField(null=True, blank=True)
    # Of the newest event applied: an older one that comes late changes nothing.
    stripe_event_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="payments_dispute_amount_positive"),
            models.CheckConstraint(condition=models.Q(status__in=DisputeStatus.values), name="payments_dispute_status"),
        ]
        indexes = [
            models.Index(fields=["payment"], name="payments_dispute_of_payment"),
            models.Index(
                fields=["due_by"],
                condition=models.Q(closed_at=None),
                name="payments_dispute_open",
            ),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"dispute {self.pk} of payment {self.payment_id} ({self.status})"


class EvidenceKind(models.TextChoices):
    """What a piece of evidence is, in the words of Stripe's evidence fields."""

    RECEIPT = "receipt"
    REFUND_HISTORY = "refund_history"
    PRODUCT_DESCRIPTION = "product_description"
    CUSTOMER_COMMUNICATION = "customer_communication"
    UNCATEGORIZED_TEXT = "uncategorized_text"


class DisputeEvidence(models.Model):
    """A text that speaks for us; collected when the dispute comes in, submitted by staff."""

    dispute = models.ForeignKey(Dispute, on_delete=models.CASCADE, related_name="evidence")
    kind = models.CharField(max_length=30, choices=EvidenceKind.choices)
    content = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    submitted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "payments_dispute_evidence"
        constraints = [
            models.UniqueConstraint(fields=["dispute", "kind"], name="payments_dispute_evidence_kind_once"),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"{self.kind} for dispute {self.dispute_id}"
