"""What was sent to whom, and what users want to get."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from users.models import Channel


class Status(models.TextChoices):
    """Where a notification stands."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"
    SKIPPED_LEGACY = "skipped_legacy"
    SUPPRESSED = "suppressed"


class NotificationLog(models.Model):
    """One notification: written with the event it tells of, then worked off by a task."""

    event_id = models.UUIDField()
    event_type = models.CharField(max_length=60)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    # The row that the event is about: a payment, a verification, a password reset.
    object_id = models.BigIntegerField()
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.EMAIL)
    template = models.CharField(max_length=60)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "notifications_notification_log"
        constraints = [
            models.UniqueConstraint(fields=["event_id", "channel"], name="notifications_log_once_per_event"),
        ]
        indexes = [
            models.Index(fields=["user", "-created_at", "-id"], name="notifications_log_of_user"),
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(status=Status.QUEUED),
                name="notifications_log_due",
            ),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"{self.event_type} notification {self.pk} ({self.status})"


class Category(models.TextChoices):
    """Groups of notifications that a user switches together."""

    PAYMENTS = "payments"
    ACCOUNT = "account"
    REPORTS = "reports"


class Preference(models.Model):
    """What a user chose for one category; without a row: everything, by the preferred channel."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notification_preferences"
    )
    category = models.CharField(max_length=20, choices=Category.choices)
    enabled = models.BooleanField(default=True)
    channel = models.CharField(max_length=10, choices=Channel.choices, null=True, blank=True)
    digest = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "category"], name="notifications_preference_once"),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"{self.category} preference of user {self.user_id}"
