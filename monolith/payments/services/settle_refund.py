"""Committing what is known of a refund."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from common.times import rfc3339
from notifications.services.announce import announce
from payments.models import Payment, PaymentStatus, PaymentStatusChange, Refund, RefundStatus
from payments.money import to_minor
from payments.stripe_gateway import RefundOutcome, RefundResult

from .ledger import book_refund, book_refund_failed


def settle_refund(refund_id: int, outcome: RefundOutcome, *, reason: str) -> Refund:
    """Write an outcome once. A refund that succeeded can still fail later: then the money is ours again."""
    now = timezone.now()
    with transaction.atomic():
        payment_id = Refund.objects.values_list("payment_id", flat=True).get(pk=refund_id)
        # The payment first, as everywhere: its lock is what refunds of one payment queue at.
        payment = Payment.objects.select_for_update(of=("self",)).select_related("currency").get(pk=payment_id)
        refund = Refund.objects.select_for_update(of=("self",)).select_related("currency").get(pk=refund_id)
        refund.payment = payment
        refund.finished_at = refund.finished_at or now
        if outcome.stripe_id and refund.stripe_refund_id is None:
            refund.stripe_refund_id = outcome.stripe_id
        if refund.status == RefundStatus.PENDING and outcome.result is RefundResult.SUCCEEDED:
            _succeed(refund, now, reason)
        elif outcome.result is RefundResult.FAILED and refund.status != RefundStatus.FAILED:
            _fail(refund, outcome, reason)
        refund.save()
    return refund


def refund_unwanted(payment: Payment) -> None:
    """Give a payment back that came too late; `reconcile_pending_payments` asks Stripe for it."""
    Refund.objects.create(
        payment=payment,
        amount=payment.amount,
        currency=payment.currency,
        idempotency_key=f"unwanted:{uuid4()}",
    )


def _succeed(refund: Refund, now: datetime, reason: str) -> None:
    refund.status, refund.completed_at, refund.failure_code = RefundStatus.SUCCEEDED, now, ""
    refund.save()
    payment = refund.payment
    payment.amount_refunded += refund.amount
    show_refunds(payment, reason)
    book_refund(refund)
    announce(
        "payment.refunded",
        {
            "paymentId": payment.pk,
            "refundId": refund.pk,
            "userId": payment.user_id,
            "amountMinor": to_minor(refund.amount, refund.currency.decimals),
            "currency": refund.currency_id,
            "refundedAt": rfc3339(now),
        },
        subject=f"payment/{payment.pk}",
        user_id=payment.user_id,
        object_id=refund.pk,
    )


def _fail(refund: Refund, outcome: RefundOutcome, reason: str) -> None:
    was_booked = refund.status == RefundStatus.SUCCEEDED
    refund.status, refund.failure_code = RefundStatus.FAILED, outcome.code[:64]
    if was_booked:
        refund.payment.amount_refunded -= refund.amount
        show_refunds(refund.payment, reason)
        book_refund_failed(refund)


def show_refunds(payment: Payment, reason: str) -> None:
    """The status that the refunds give the payment; one that is disputed stays so."""
    previous = payment.status
    if previous != PaymentStatus.DISPUTED:
        payment.status = refund_status(payment)
    payment.payout_due = True
    payment.save()
    if payment.status != previous:
        PaymentStatusChange.objects.create(
            payment=payment, from_status=previous, to_status=payment.status, reason=reason
        )


def refund_status(payment: Payment) -> PaymentStatus:
    """Completed, partially refunded or refunded."""
    if payment.amount_refunded == payment.amount:
        return PaymentStatus.REFUNDED
    return PaymentStatus.PARTIALLY_REFUNDED if payment.amount_refunded else PaymentStatus.COMPLETED
