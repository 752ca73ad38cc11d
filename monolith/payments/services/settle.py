"""Committing what is known of a payment."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from common.times import rfc3339
from notifications.services.announce import announce
from payments.models import AttemptStatus, Operation, Payment, PaymentStatus, PaymentStatusChange
from payments.money import from_minor, to_minor
from payments.stripe_gateway import Outcome, Result

from .fees import charge_fee
from .invoice_payments import invoice_paid, invoice_payment_failed
from .ledger import book_charge

_STATUS = {
    Result.SUCCEEDED: PaymentStatus.COMPLETED,
    Result.REQUIRES_ACTION: PaymentStatus.REQUIRES_ACTION,
    Result.REQUIRES_CAPTURE: PaymentStatus.REQUIRES_CAPTURE,
    Result.CANCELED: PaymentStatus.CANCELED,
    Result.DECLINED: PaymentStatus.FAILED,
}
_FINAL = {Result.SUCCEEDED, Result.CANCELED}
# What comes late or twice changes nothing. A payment that failed for us but was charged after all is completed:
# Stripe has the money.
_NEXT = {
    PaymentStatus.PENDING: set(_STATUS.values()),
    PaymentStatus.REQUIRES_ACTION: set(_STATUS.values()) - {PaymentStatus.REQUIRES_ACTION},
    PaymentStatus.REQUIRES_CAPTURE: {PaymentStatus.COMPLETED, PaymentStatus.CANCELED},
    PaymentStatus.FAILED: {PaymentStatus.COMPLETED},
}


def settle(payment_id: int, outcome: Outcome, *, reason: str) -> Payment:
    """Write an outcome once; a payment that another process settled before is left as it is."""
    now = timezone.now()
    with transaction.atomic():
        payment = Payment.objects.select_for_update(of=("self",)).select_related("currency").get(pk=payment_id)
        status = _STATUS.get(outcome.result)
        captured = _close_attempts(payment, outcome, reason, now)
        if outcome.intent_id and payment.stripe_payment_intent_id is None:
            payment.stripe_payment_intent_id = outcome.intent_id
        if status is not None and status in _NEXT.get(PaymentStatus(payment.status), ()):
            if status == PaymentStatus.COMPLETED and payment.status == PaymentStatus.REQUIRES_CAPTURE:
                _take_captured_amount(payment, captured, outcome)
            _change_status(payment, status, outcome, now, reason)
        else:
            payment.save()
    return payment


def _close_attempts(payment: Payment, outcome: Outcome, reason: str, now: datetime) -> Decimal | None:
    """Close the calls that this outcome answers; the amount that a capture asked for, if there was one."""
    captured = None
    for attempt in payment.attempts.filter(status__in=[AttemptStatus.STARTED, AttemptStatus.UNKNOWN]):
        if attempt.operation == Operation.CHARGE:
            answered = attempt.status == AttemptStatus.STARTED
        else:
            # That the money is still reserved says nothing of a capture under way, unless it is the answer to it.
            answered = outcome.result in _FINAL or reason == attempt.operation
        if answered:
            attempt.status = _ended(attempt.operation, outcome.result)
            attempt.error_code, attempt.finished_at = outcome.code[:64], now
            attempt.save()
            captured = attempt.amount or captured
    return captured


def _ended(operation: str, result: Result) -> AttemptStatus:
    if result is Result.UNKNOWN:
        return AttemptStatus.UNKNOWN
    if operation == Operation.CAPTURE:
        done = result is Result.SUCCEEDED
    elif operation == Operation.CANCEL:
        done = result is Result.CANCELED
    else:
        done = result is not Result.DECLINED
    return AttemptStatus.SUCCEEDED if done else AttemptStatus.DECLINED


def _take_captured_amount(payment: Payment, captured: Decimal | None, outcome: Outcome) -> None:
    """What Stripe took counts; localstripe does not tell, there it is what we asked for."""
    decimals = payment.currency.decimals
    if outcome.received_minor:
        payment.amount = from_minor(outcome.received_minor, decimals)
    elif captured:
        payment.amount = captured


def _change_status(payment: Payment, status: PaymentStatus, outcome: Outcome, now: datetime, reason: str) -> None:
    previous, payment.status = payment.status, status
    PaymentStatusChange.objects.create(payment=payment, from_status=previous, to_status=status, reason=reason)
    if status == PaymentStatus.COMPLETED:
        payment.completed_at, payment.payout_due = now, True
        payment.failure_code = payment.failure_message = ""
    elif status == PaymentStatus.REQUIRES_CAPTURE:
        payment.amount_authorized = payment.amount
    elif status == PaymentStatus.FAILED:
        payment.failure_code, payment.failure_message = outcome.code[:64], outcome.message[:300]
    payment.save()
    if status == PaymentStatus.COMPLETED:
        book_charge(payment)
        charge_fee(payment, now)
        _announce_completed(payment)
        invoice_paid(payment, now)
    elif status == PaymentStatus.FAILED:
        _announce_failed(payment, now)
        invoice_payment_failed(payment, now)
    elif status == PaymentStatus.CANCELED:
        invoice_payment_failed(payment, now)


def _announce_completed(payment: Payment) -> None:
    _announce(
        payment,
        "payment.completed",
        paymentMethodId=payment.payment_method_id,
        stripePaymentIntentId=payment.stripe_payment_intent_id,
        completedAt=rfc3339(payment.completed_at),
    )


def _announce_failed(payment: Payment, now: datetime) -> None:
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
