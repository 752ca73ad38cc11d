"""Finding out what became of payments and refunds whose outcome got lost."""

from __future__ import annotations

import logging

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from payments import stripe_gateway
from payments.models import (
    AttemptStatus,
    Operation,
    Payment,
    PaymentAttempt,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from payments.stripe_gateway import Outcome, RefundOutcome, RefundResult, Result, StripeUnavailable

from .attempts import GIVE_UP_AFTER, REPLAY_WINDOW, add_attempt, is_running, lease_start, undecided
from .cancel import send_cancel
from .capture import send_capture
from .charge import stripe_request
from .own_rows import own
from .refund import stripe_request as stripe_refund_request
from .settle import settle
from .settle_refund import settle_refund

logger = logging.getLogger(__name__)

BATCH = 100


def due_payments() -> list[int]:
    """Payments that have been pending for longer than a call to Stripe can take, oldest first."""
    pending = Payment.objects.filter(status=PaymentStatus.PENDING, created_at__lt=lease_start())
    return list(own(pending).order_by("created_at").values_list("id", flat=True)[:BATCH])


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
    with transaction.atomic():
        locked = Payment.objects.select_for_update(of=("self",)).get(pk=payment.pk)
        if locked.status != PaymentStatus.PENDING or is_running(locked):
            return None
        add_attempt(locked, Operation.CHARGE, request.idempotency_key)
    return stripe_gateway.charge(request)


def due_changes() -> list[int]:
    """Payments with a capture or a cancellation whose outcome is not known, oldest first."""
    unsettled = PaymentAttempt.objects.filter(
        status__in=[AttemptStatus.STARTED, AttemptStatus.UNKNOWN], started_at__lt=lease_start()
    ).exclude(operation=Operation.CHARGE)
    return list(dict.fromkeys(own(unsettled).order_by("started_at").values_list("payment_id", flat=True)[:BATCH]))


def reconcile_change(payment_id: int) -> Payment | None:
    """Settle one capture or cancellation: Stripe is asked how the PaymentIntent stands, and if nothing has
    happened to it, asked once more under the same key. A day later the change is given up.
    """
    payment = Payment.objects.select_related("currency").get(pk=payment_id)
    attempt = undecided(payment)
    if attempt is None or payment.stripe_payment_intent_id is None:
        return payment
    try:
        found = stripe_gateway.get_intent(payment.stripe_payment_intent_id)
    except StripeUnavailable:
        logger.warning("change not reconciled, Stripe does not answer", extra={"payment_id": payment.pk})
        return None
    if found is None or found.outcome.result is Result.UNKNOWN:
        return None
    first = payment.attempts.filter(operation=attempt.operation).order_by("number").first() or attempt
    untouched = found.outcome.result in (Result.REQUIRES_CAPTURE, Result.REQUIRES_ACTION)
    if untouched and timezone.now() - first.started_at < REPLAY_WINDOW:
        if not _claim(payment, attempt):
            return None
        return send_capture(payment) if attempt.operation == Operation.CAPTURE else send_cancel(payment)
    return settle(payment.pk, found.outcome, reason=attempt.operation)


def _claim(payment: Payment, attempt: PaymentAttempt) -> bool:
    """Note that the call is made once more, unless another process is making it."""
    with transaction.atomic():
        locked = Payment.objects.select_for_update(of=("self",)).get(pk=payment.pk)
        latest = undecided(locked)
        if latest is None or latest.pk != attempt.pk or is_running(locked):
            return False
        attempt.status = AttemptStatus.DECLINED  # superseded
        attempt.save()
        add_attempt(locked, Operation(attempt.operation), attempt.stripe_idempotency_key, amount=attempt.amount)
        return True


def due_refunds() -> list[int]:
    """Refunds that are pending, and whose call to Stripe has ended or was never made, oldest first."""
    idle = Q(started_at=None) | Q(started_at__lt=lease_start())
    pending = Refund.objects.filter(idle, status=RefundStatus.PENDING)
    return list(own(pending).order_by("created_at").values_list("id", flat=True)[:BATCH])


def reconcile_refund(refund_id: int) -> Refund | None:
    """Settle one refund in the way of `reconcile`; None while its outcome is still unknown."""
    refund = Refund.objects.select_related("currency", "payment").get(pk=refund_id)
    if refund.status != RefundStatus.PENDING or refund.payment.stripe_payment_intent_id is None:
        return refund
    try:
        outcome = _look_up(refund)
    except StripeUnavailable:
        logger.warning("refund not reconciled, Stripe does not answer", extra={"refund_id": refund.pk})
        return None
    age = timezone.now() - refund.created_at
    if outcome is None and age < REPLAY_WINDOW:
        outcome = _replay_refund(refund)
    elif outcome is None and age > GIVE_UP_AFTER:
        outcome = RefundOutcome(RefundResult.FAILED, None, "not_processed")
    if outcome is None:
        return None
    settled = settle_refund(refund.pk, outcome, reason="reconcile")
    return None if settled.status == RefundStatus.PENDING else settled


def _look_up(refund: Refund) -> RefundOutcome | None:
    if refund.stripe_refund_id is not None:
        found = stripe_gateway.get_refund(refund.stripe_refund_id)
        return found.outcome if found else None
    return stripe_gateway.find_refund(refund.pk, refund.payment.stripe_payment_intent_id)


def _replay_refund(refund: Refund) -> RefundOutcome | None:
    """Ask for the same refund again, unless another process is doing so."""
    idle = Q(started_at=None) | Q(started_at__lt=lease_start())
    due = Refund.objects.filter(idle, pk=refund.pk, status=RefundStatus.PENDING)
    if not due.update(started_at=timezone.now(), finished_at=None):
        return None
    return stripe_gateway.create_refund(stripe_refund_request(refund))
