"""What Stripe told us."""

from django.db import models


class WebhookStatus(models.TextChoices):
    """What became of an event."""

    RECEIVED = "received"  # not handled yet, or the handling failed: Stripe sends it again
    PROCESSED = "processed"
    IGNORED = "ignored"


class StripeWebhookEvent(models.Model):
    """An event of Stripe's, once per event id.

    Its content is not kept: the object is fetched again from Stripe when the event is handled, and
    it may hold personal data.
    """

    stripe_event_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=100)
    object_id = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=20, choices=WebhookStatus.choices, default=WebhookStatus.RECEIVED)
    stripe_created_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    processed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "payments_stripe_webhook_event"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=WebhookStatus.values), name="payments_stripe_webhook_event_status"
            ),
        ]
        indexes = [models.Index(fields=["object_id"], name="payments_webhook_of_object")]

    def __str__(self) -> str:
        """The row."""
        return f"{self.type} {self.stripe_event_id} ({self.status})"
