"""Figures that are worked out ahead, and files that were asked for."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from payments.models import Currency


class DailyRevenue(models.Model):
    """What a day brought in one currency. Worked out anew when rows of the day come late."""

    date = models.DateField()
    currency = models.ForeignKey(
        Currency, to_field="code", db_column="currency", on_delete=models.PROTECT, related_name="+"
    )
    gross = models.DecimalField(max_digits=20, decimal_places=3)
    refunds = models.DecimalField(max_digits=20, decimal_places=3)
    disputes = models.DecimalField(max_digits=20, decimal_places=3)
    fees = models.DecimalField(max_digits=20, decimal_places=3)
    net = models.DecimalField(max_digits=20, decimal_places=3)
    payments = models.PositiveIntegerField()
    rolled_up_at = models.DateTimeField()

    class Meta:
        db_table = "reporting_daily_revenue"
        constraints = [
            models.UniqueConstraint(fields=["date", "currency"], name="reporting_daily_revenue_once"),
            models.CheckConstraint(
                condition=models.Q(
                    net=models.F("gross") - models.F("refunds") - models.F("disputes") - models.F("fees")
                ),
                name="reporting_daily_revenue_net",
            ),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"{self.currency_id} on {self.date}"


class ExportKind(models.TextChoices):
    """What an export lists."""

    PAYMENTS = "payments"
    REVENUE = "revenue"
    USERS = "users"


class ExportFormat(models.TextChoices):
    """How the file is written."""

    CSV = "csv"


class ExportStatus(models.TextChoices):
    """Where an export stands."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    EXPIRED = "expired"


class ReportExport(models.Model):
    """A file that a member of staff asked for, written in the background."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="exports")
    kind = models.CharField(max_length=20, choices=ExportKind.choices)
    format = models.CharField(max_length=10, choices=ExportFormat.choices, default=ExportFormat.CSV)
    from_date = models.DateField()
    to_date = models.DateField()
    status = models.CharField(max_length=10, choices=ExportStatus.choices, default=ExportStatus.QUEUED)
    # In the folder `EXPORT_DIR`. Random, so that no two databases that share a folder meet.
    file_name = models.CharField(max_length=80, unique=True)
    rows = models.PositiveBigIntegerField(null=True, blank=True)
    bytes = models.PositiveBigIntegerField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "reporting_report_export"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(from_date__lte=models.F("to_date")), name="reporting_report_export_range"
            ),
            models.CheckConstraint(
                condition=~models.Q(status=ExportStatus.READY)
                | models.Q(rows__isnull=False, bytes__isnull=False, expires_at__isnull=False),
                name="reporting_report_export_ready_has_file",
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=models.Q(status__in=[ExportStatus.QUEUED, ExportStatus.RUNNING]),
                name="reporting_export_waiting",
            ),
            models.Index(
                fields=["expires_at"],
                condition=models.Q(status=ExportStatus.READY),
                name="reporting_export_expiring",
            ),
        ]

    @property
    def current_status(self) -> str:
        """The status, also when nobody has noted yet that the file's time is over."""
        over = self.status == ExportStatus.READY and self.expires_at <= timezone.now()
        return ExportStatus.EXPIRED if over else self.status

    def __str__(self) -> str:
        """The row."""
        return f"{self.kind} export {self.pk} ({self.status})"
