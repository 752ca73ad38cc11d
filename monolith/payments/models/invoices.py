"""Invoices of subscriptions."""

from django.conf import settings
from django.db import models

from .currencies import currency_field
from .payments import Payment
from .subscriptions import Plan, Subscription


class InvoiceStatus(models.TextChoices):
    """Where an invoice stands, in Stripe's words."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    UNCOLLECTIBLE = "uncollectible"
    VOID = "void"


class Invoice(models.Model):
    """What a subscription costs for a period."""

    number = models.CharField(max_length=30, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="invoices")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="invoices")
    # The latest payment; one that failed is followed by another.
    payment = models.OneToOneField(Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="invoice")
    status = models.CharField(max_length=20, choices=InvoiceStatus.choices, default=InvoiceStatus.OPEN)
    currency = currency_field()
    subtotal = models.DecimalField(max_digits=14, decimal_places=3)
    discount = models.DecimalField(max_digits=14, decimal_places=3, default=0)
    total = models.DecimalField(max_digits=14, decimal_places=3)
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            # A period is billed once, however often the job runs.
            models.UniqueConstraint(fields=["subscription", "period_start"], name="payments_invoice_per_period"),
            models.CheckConstraint(condition=models.Q(status__in=InvoiceStatus.values), name="payments_invoice_status"),
            models.CheckConstraint(
                condition=models.Q(discount__gte=0, total__gte=0, total=models.F("subtotal") - models.F("discount")),
                name="payments_invoice_total",
            ),
            models.CheckConstraint(
                condition=~models.Q(status=InvoiceStatus.PAID) | models.Q(paid_at__isnull=False),
                name="payments_invoice_paid_at",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-created_at", "-id"], name="payments_invoice_of_user"),
        ]

    def __str__(self) -> str:
        """The number."""
        return self.number


class InvoiceLine(models.Model):
    """A position of an invoice; a credit for unused time is below zero."""

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    description = models.CharField(max_length=200)
    amount = models.DecimalField(max_digits=14, decimal_places=3)
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    proration = models.BooleanField(default=False)

    class Meta:
        db_table = "payments_invoice_line"

    def __str__(self) -> str:
        """The row."""
        return f"line {self.pk} of invoice {self.invoice_id}"
