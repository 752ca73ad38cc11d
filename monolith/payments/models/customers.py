"""Customers and their payment methods, as far as they are ours to keep: card numbers are Stripe's."""

from django.conf import settings
from django.db import models


class Customer(models.Model):
    """A user at Stripe."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="customer")
    stripe_customer_id = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        """The row."""
        return f"customer {self.pk} (user {self.user_id})"


class PaymentMethod(models.Model):
    """A card that a customer can be charged on."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="payment_methods")
    stripe_payment_method_id = models.CharField(max_length=64, unique=True)
    brand = models.CharField(max_length=20)
    last4 = models.CharField(max_length=4)
    exp_month = models.PositiveSmallIntegerField()
    exp_year = models.PositiveSmallIntegerField()
    # Stripe's fingerprint of the card number: the same card again has the same one.
    fingerprint = models.CharField(max_length=64, blank=True)
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    detached_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "payments_payment_method"
        constraints = [
            models.UniqueConstraint(
                fields=["customer"],
                condition=models.Q(is_default=True),
                name="payments_payment_method_one_default",
            ),
            models.CheckConstraint(
                condition=models.Q(exp_month__gte=1, exp_month__lte=12),
                name="payments_payment_method_exp_month",
            ),
            models.CheckConstraint(
                condition=models.Q(is_default=False) | models.Q(detached_at=None),
                name="payments_payment_method_default_attached",
            ),
        ]
        indexes = [
            models.Index(fields=["customer", "-created_at", "-id"], name="payments_method_of_customer"),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"payment method {self.pk} of customer {self.customer_id}"
