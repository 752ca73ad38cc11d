"""Committing what is known of a charge."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from common.times import rfc3339
from notifications.services.announce import announce
from payments.models import AttemptStatus, Payment, PaymentStatus, PaymentStatusChange
from payments.money import to_minor
from payments.stripe_gateway import Outcome, Result

_STATUS = {
    Result.SUCCEEDED: PaymentStatus.COMPLETED,
    Result.REQUIRES_ACTION: PaymentStatus.REQUIRES_ACTION,
    Result.REQUIRES_CAPTURE: PaymentStatus.REQUIRES_CAPTURE,
    Result.CANCELED: PaymentStatus.CANCELED,
    Result.DECLINED: PaymentStatus.FAILED,
}


def settle(payment_id: int, outcome: Outcome, *, reason: str) -> Payment:
    """Write an outcome once; a payment that another process settled before is left as it is."""
    now = timezone.now()
    with transaction.atomic():
        payment = Payment.objects.select_for_update(of=("self",)).select_related("currency").get(pk=payment_id)
        if payment.status != PaymentStatus.PENDING:
            return payment
        _close_attempts(payment, outcome, now)
        if outcome.intent_id:
            payment.stripe_payment_intent_id = outcome.intent_id
        if outcome.result is not Result.UNKNOWN:
            _change_status(payment, outcome, now, reason)
        payment.save()
    return payment


def _close_attempts(payment: Payment, outcome: Outcome, now: datetime) -> None:
    status = {
        Result.DECLINED: AttemptStatus.DECLINED,
        Result.UNKNOWN: AttemptStatus.UNKNOWN,
    }.get(outcome.result, AttemptStatus.SUCCEEDED)
    payment.attempts.filter(status=AttemptStatus.STARTED).update(
        status=status, error_code=outcome.code[:64], finished_at=now
    )


def _change_status(payment: Payment, outcome: Outcome, now: datetime, reason: str) -> None:
    previous, payment.status = payment.status, _STATUS[outcome.result]
    PaymentStatusChange.objects.create(payment=payment, from_status=previous, to_status=payment.status, reason=reason)
    if payment.status == PaymentStatus.COMPLETED:
        payment.completed_at = now
        _announce(
            payment,
            "payment.completed",
            paymentMethodId=payment.payment_method_id,
            stripePaymentIntentId=payment.stripe_payment_intent_id,
            completedAt=rfc3339(now),
        )
    elif payment.status == PaymentStatus.FAILED:
        payment.failure_code = outcome.code[:64]
        payment.failure_message = outcome.message[:300]
        _announce(
            payment,
            "payment.failed",
            failureCode=payment.failure_code,
            failureMessage=payment.failure_message,
            failedAt=rfc3339(now),
        )


def _announce(payment: Payment, event_type: str, **data: object) -> None:
    amount_minor = to_minor(payment.amount, payment.currency.decimals)
    announce(
        event_type,
        {
            "paymentId": payment.pk,
            "userId": payment.user_id,
            "amountMinor": amount_minor,
            "currency": payment.currency_id,
            **data,
        },
        subject=f"payment/{payment.pk}",
        user_id=payment.user_id,
        object_id=payment.pk,
    )
