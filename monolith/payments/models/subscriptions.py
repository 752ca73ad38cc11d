"""Plans, coupons and subscriptions."""

from django.conf import settings
from django.db import models

from .currencies import Currency, currency_field
from .customers import Customer, PaymentMethod


class Interval(models.TextChoices):
    """How long a period is."""

    MONTH = "month"
    YEAR = "year"


class Plan(models.Model):
    """Something to subscribe to, at a price per period."""

    code = models.CharField(max_length=60, unique=True)
    name = models.CharField(max_length=100)
    amount = models.DecimalField(max_digits=14, decimal_places=3)
    currency = currency_field()
    interval = models.CharField(max_length=10, choices=Interval.choices)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="payments_plan_amount_positive"),
            models.CheckConstraint(condition=models.Q(interval__in=Interval.values), name="payments_plan_interval"),
        ]

    def __str__(self) -> str:
        """The code."""
        return self.code


class Duration(models.TextChoices):
    """Which invoices a coupon lowers."""

    ONCE = "once"
    FOREVER = "forever"


class Coupon(models.Model):
    """A discount: a percentage, or an amount of one currency. Each user may use one once."""

    code = models.CharField(max_length=40, unique=True)
    percent_off = models.PositiveSmallIntegerField(null=True, blank=True)
    amount_off = models.DecimalField(max_digits=14, decimal_places=3, null=True, blank=True)
    currency = models.ForeignKey(
        Currency,
        to_field="code",
        db_column="currency",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
    )
    duration = models.CharField(max_length=10, choices=Duration.choices, default=Duration.ONCE)
    max_redemptions = models.PositiveIntegerField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    percent_off__gte=1, percent_off__lte=100, amount_off__isnull=True, currency__isnull=True
                )
                | models.Q(percent_off__isnull=True, amount_off__gt=0, currency__isnull=False),
                name="payments_coupon_percent_or_amount",
            ),
            models.CheckConstraint(condition=models.Q(duration__in=Duration.values), name="payments_coupon_duration"),
        ]

    def __str__(self) -> str:
        """The code."""
        return self.code

    def is_used_up(self) -> bool:
        """Whether as many subscriptions were paid with it as may be."""
        never_paid = [SubscriptionStatus.INCOMPLETE, SubscriptionStatus.INCOMPLETE_EXPIRED]
        most = self.max_redemptions
        return most is not None and self.subscriptions.exclude(status__in=never_paid)[:most].count() >= most


class SubscriptionStatus(models.TextChoices):
    """Where a subscription stands, in Stripe's words."""

    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    CANCELED = "canceled"


# Those that are renewed, and those that still need their card.
RENEWABLE = [SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE]
LIVE = [*RENEWABLE, SubscriptionStatus.INCOMPLETE]


class Subscription(models.Model):
    """A user's subscription to a plan, found again by the client's idempotency key.

    Whoever switches to another plan gets a new subscription; the old one ends when the new one is paid.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="subscriptions")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="subscriptions")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="subscriptions")
    payment_method = models.ForeignKey(PaymentMethod, on_delete=models.PROTECT, related_name="subscriptions")
    coupon = models.ForeignKey(Coupon, on_delete=models.PROTECT, null=True, blank=True, related_name="subscriptions")
    # The one that this one takes over from.
    replaces = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="replaced_by")
    # The plan's, here too because a user has one subscription per currency.
    currency = currency_field()
    status = models.CharField(max_length=20, choices=SubscriptionStatus.choices, default=SubscriptionStatus.INCOMPLETE)
    idempotency_key = models.CharField(max_length=255)
    request_fingerprint = models.CharField(max_length=64)
    # Periods are counted from here, so that one begun on the 31st returns to the 31st after February.
    billing_anchor = models.DateTimeField()
    current_period_start = models.DateTimeField()
    current_period_end = models.DateTimeField()
    cancel_at_period_end = models.BooleanField(default=False)
    # The end of the period, or the next try after a decline.
    next_billing_at = models.DateTimeField()
    failed_attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    canceled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "idempotency_key"], name="payments_subscription_idempotency_key"),
            models.UniqueConstraint(
                fields=["user", "currency"],
                condition=models.Q(status__in=RENEWABLE),
                name="payments_subscription_one_per_currency",
            ),
            models.UniqueConstraint(
                fields=["user", "currency"],
                condition=models.Q(status=SubscriptionStatus.INCOMPLETE),
                name="payments_subscription_one_incomplete",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=SubscriptionStatus.values), name="payments_subscription_status"
            ),
            models.CheckConstraint(
                condition=models.Q(current_period_end__gt=models.F("current_period_start")),
                name="payments_subscription_period",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_billing_at"],
                condition=models.Q(status__in=RENEWABLE),
                name="payments_subscription_due",
            ),
            models.Index(fields=["user", "-created_at", "-id"], name="payments_subscription_of_user"),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"subscription {self.pk} ({self.status})"
