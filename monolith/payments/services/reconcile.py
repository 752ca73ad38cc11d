"""Finding out what became of payments whose outcome got lost."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from payments import stripe_gateway
from payments.models import AttemptStatus, Payment, PaymentAttempt, PaymentStatus
from payments.stripe_gateway import Outcome, Result, StripeUnavailable

from .charge import stripe_request
from .settle import settle

logger = logging.getLogger(__name__)

# Stripe forgets an idempotency key after 24 hours; an hour less for clocks and delays.
REPLAY_WINDOW = timedelta(hours=23)
# After this a PaymentIntent that Stripe still does not list was never made.
GIVE_UP_AFTER = timedelta(hours=25)
BATCH = 100


def due_payments() -> list[int]:
    """Payments that have been pending for longer than a call to Stripe can take, oldest first."""
    before = timezone.now() - timedelta(seconds=settings.STRIPE_TIMEOUT_SECONDS + 10)
    pending = Payment.objects.filter(status=PaymentStatus.PENDING, created_at__lt=before)
    return list(pending.order_by("created_at").values_list("id", flat=True)[:BATCH])


def reconcile(payment_id: int) -> Payment | None:
    """Settle one payment; None while its outcome is still unknown.

    Stripe is asked first whether it has the payment's PaymentIntent. Only if it has none, and while
    it would still recognise the idempotency key, is the charge asked for again under that same key.
    """
    payment = Payment.objects.select_related("currency", "customer", "payment_method").get(pk=payment_id)
    if payment.status != PaymentStatus.PENDING:
        return payment
    age = timezone.now() - payment.created_at
    try:
        outcome = stripe_gateway.find_intent(payment.pk, payment.customer.stripe_customer_id, payment.created_at)
    except StripeUnavailable:
        logger.warning("payment not reconciled, Stripe does not answer", extra={"payment_id": payment.pk})
        return None
    if outcome is None and payment.payment_method is None:
        outcome = Outcome(Result.DECLINED, None, "payment_method_removed", "The payment method was removed.")
    elif outcome is None and age < REPLAY_WINDOW:
        outcome = _replay(payment)
    elif outcome is None and age > GIVE_UP_AFTER:
        outcome = Outcome(Result.DECLINED, None, "not_processed", "The payment was not processed.")
    if outcome is None:
        return None
    settled = settle(payment.pk, outcome, reason="reconcile")
    return None if settled.status == PaymentStatus.PENDING else settled


def _replay(payment: Payment) -> Outcome | None:
    """Ask for the same charge again, unless another process is doing so."""
    request = stripe_request(payment)
    now = timezone.now()
    lease = now - timedelta(seconds=settings.STRIPE_TIMEOUT_SECONDS + 10)
    with transaction.atomic():
        locked = Payment.objects.select_for_update(of=("self",)).get(pk=payment.pk)
        running = locked.attempts.filter(status=AttemptStatus.STARTED, started_at__gt=lease)
        if locked.status != PaymentStatus.PENDING or running.exists():
            return None
        last = locked.attempts.aggregate(last=Max("number"))["last"] or 0
        PaymentAttempt.objects.create(
            payment=locked,
            number=last + 1,
            stripe_idempotency_key=request.idempotency_key,
            started_at=now,
        )
    return stripe_gateway.charge(request)
