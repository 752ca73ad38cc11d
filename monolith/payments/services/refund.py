"""Giving money back: pending is committed, then Stripe is called, then the outcome is committed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from banyan.ownership import hold
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from common.problems import field_error
from payments import stripe_gateway
from payments.models import Payment, PaymentStatus, Refund, RefundStatus
from payments.money import to_minor
from payments.stripe_gateway import RefundRequest, refund_key

from .attempts import lease_start
from .capture import lock_own
from .replays import check_same_request, fingerprint, in_progress, invalid_state
from .settle_refund import settle_refund

REFUNDABLE = {PaymentStatus.COMPLETED, PaymentStatus.PARTIALLY_REFUNDED}


@dataclass(frozen=True)
class RefundOrder:
    """What a client asks for."""

    user_id: int
    payment_id: int
    amount: Decimal | None
    """None: all that is left."""
    reason: str
    idempotency_key: str

    def fingerprint(self) -> str:
        """SHA-256 of the canonical request."""
        amount = None if self.amount is None else str(self.amount.normalize())
        return fingerprint(self.payment_id, amount, self.reason)


@dataclass(frozen=True)
class Refunded:
    """The refund, and whether an earlier request with the same key made it."""

    refund: Refund
    replayed: bool


def refund(order: RefundOrder) -> Refunded:
    """Refund once per idempotency key and payment."""
    begun = _begin(order)
    if begun.replayed:
        return begun
    # A crash, a timeout or a lost answer from here on leaves the refund pending;
    # `reconcile_pending_payments` finds out.
    outcome = stripe_gateway.create_refund(stripe_request(begun.refund))
    return Refunded(settle_refund(begun.refund.pk, outcome, reason="refund"), replayed=False)


def stripe_request(row: Refund) -> RefundRequest:
    """What Stripe is asked for a refund; the same each time it is asked."""
    if row.payment.stripe_payment_intent_id is None or row.idempotency_key is None:
        raise ValueError(f"refund {row.pk} was not made here")
    return RefundRequest(
        refund_id=row.pk,
        intent_id=row.payment.stripe_payment_intent_id,
        amount_minor=to_minor(row.amount, row.currency.decimals),
        reason=row.reason,
        idempotency_key=refund_key(row.payment_id, row.idempotency_key),
    )


def left_to_refund(payment: Payment) -> Decimal:
    """What has neither been given back nor is about to be."""
    pending = payment.refunds.filter(status=RefundStatus.PENDING).aggregate(sum=Sum("amount"))["sum"] or Decimal(0)
    return payment.amount - payment.amount_refunded - pending


def _begin(order: RefundOrder) -> Refunded:
    """Commit the pending refund. The payment's lock lets one of two that exceed it win."""
    with transaction.atomic():
        hold("payments", order.user_id)
        payment = lock_own(order.user_id, order.payment_id)
        earlier = payment.refunds.select_related("currency").filter(idempotency_key=order.idempotency_key).first()
        if earlier is not None:
            check_same_request(earlier.request_fingerprint, order.fingerprint())
            if earlier.finished_at is None and earlier.started_at is not None and earlier.started_at > lease_start():
                raise in_progress()
            return Refunded(earlier, replayed=True)
        if payment.status not in REFUNDABLE:
            raise invalid_state(f"A payment that is {payment.status} cannot be refunded.")
        left = left_to_refund(payment)
        amount = left if order.amount is None else order.amount
        if not 0 < amount <= left:
            raise field_error("amount", "is more than is left of the payment")
        row = Refund.objects.create(
            payment=payment,
            amount=amount,
            currency=payment.currency,
            reason=order.reason,
            idempotency_key=order.idempotency_key,
            request_fingerprint=order.fingerprint(),
            started_at=timezone.now(),
        )
        return Refunded(row, replayed=False)
