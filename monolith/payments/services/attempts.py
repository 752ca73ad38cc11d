"""Calls to Stripe for a payment, noted before they are made."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from payments.models import AttemptStatus, Operation, Payment, PaymentAttempt

# Stripe forgets an idempotency key after 24 hours; an hour less for clocks and delays.
REPLAY_WINDOW = timedelta(hours=23)
# After this what Stripe still does not list was never made.
GIVE_UP_AFTER = timedelta(hours=25)


def lease_start() -> datetime:
    """A call that began before this has ended, one way or another; one whose process died too."""
    return timezone.now() - timedelta(seconds=settings.STRIPE_TIMEOUT_SECONDS + 10)


def is_running(payment: Payment) -> bool:
    """Whether a call to Stripe can still be under way."""
    return payment.attempts.filter(status=AttemptStatus.STARTED, started_at__gt=lease_start()).exists()


def undecided(payment: Payment) -> PaymentAttempt | None:
    """The capture or cancellation whose outcome is not known."""
    unsettled = payment.attempts.filter(status__in=[AttemptStatus.STARTED, AttemptStatus.UNKNOWN])
    return unsettled.exclude(operation=Operation.CHARGE).order_by("number").last()


def add_attempt(payment: Payment, operation: Operation, key: str, *, amount: Decimal | None = None) -> PaymentAttempt:
    """Note a call that is about to be made. The payment's row must be locked."""
    last = payment.attempts.aggregate(last=Max("number"))["last"] or 0
    return PaymentAttempt.objects.create(
        payment=payment,
        number=last + 1,
        operation=operation,
        amount=amount,
        stripe_idempotency_key=key,
        started_at=timezone.now(),
    )
