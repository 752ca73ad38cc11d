"""What was sent to whom, and what users want to get."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
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
    # The row that the event is about: a payment, a refund, a verification, a password reset, an export.
    object_id = models.BigIntegerField()
    channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.EMAIL)
    template = models.CharField(max_length=60)
    template_version = models.PositiveIntegerField(null=True, blank=True)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    # The schedule is this side's own. A row that a sync brings from the notifications service comes without one and has
    # the database's defaults, with which no job ever takes it up: whoever made a notification works it off.
    #
    # A failure that another try may mend.
    retryable = models.BooleanField(default=False, db_default=False)
    # Kept for the daily digest, and the digest it went out with.
    digest = models.BooleanField(default=False, db_default=False)
    digest_id = models.UUIDField(null=True, blank=True)
    # NULL: never.
    next_attempt_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
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
                condition=models.Q(status=Status.QUEUED, digest=False),
                name="notifications_log_due",
            ),
            models.Index(
                fields=["user"],
                condition=models.Q(status=Status.QUEUED, digest=True),
                name="notifications_log_digest",
            ),
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(status=Status.FAILED, retryable=True),
                name="notifications_log_retryable",
            ),
            models.Index(
                fields=["digest_id"],
                condition=models.Q(digest_id__isnull=False),
                name="notifications_log_of_digest",
            ),
            BrinIndex(fields=["created_at"], name="notifications_log_created"),
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


class Template(models.Model):
    """A version of a mail's texts, in Django's template language. What was in use once is never changed."""

    name = models.CharField(max_length=60)
    locale = models.CharField(max_length=35)
    version = models.PositiveIntegerField()
    subject = models.TextField(blank=True)
    body_html = models.TextField()
    body_text = models.TextField(blank=True)
    # For the channels that the notifications service adds.
    body_sms = models.TextField(blank=True)
    # Which version is in use is this side's own too.
    active = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "locale", "version"], name="notifications_template_version"),
            models.UniqueConstraint(
                fields=["name", "locale"], condition=models.Q(active=True), name="notifications_template_active"
            ),
            models.CheckConstraint(condition=models.Q(version__gt=0), name="notifications_template_version_positive"),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"{self.name} {self.locale} version {self.version}"


class DeviceKind(models.TextChoices):
    """What a user is reached by, other than e-mail."""

    SMS = "sms"
    WEBHOOK = "webhook"


class Device(models.Model):
    """A phone number, or the URL of a webhook with the secret that its posts are signed with."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="devices")
    kind = models.CharField(max_length=10, choices=DeviceKind.choices)
    address = models.CharField(max_length=2000)
    secret = models.CharField(max_length=200, null=True, blank=True)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "kind", "address"], name="notifications_device_once"),
            models.CheckConstraint(condition=models.Q(kind__in=DeviceKind.values), name="notifications_device_kind"),
            models.CheckConstraint(
                condition=~models.Q(kind=DeviceKind.WEBHOOK) | models.Q(secret__isnull=False),
                name="notifications_device_webhook_has_secret",
            ),
        ]

    def __str__(self) -> str:
        """No personal data."""
        return f"{self.kind} device {self.pk} of user {self.user_id}"
