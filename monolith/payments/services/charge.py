"""Charging: pending is committed, then Stripe is called, then the outcome is committed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from common.problems import Problem, field_error
from payments import stripe_gateway
from payments.models import (
    AttemptStatus,
    Currency,
    Customer,
    Payment,
    PaymentAttempt,
    PaymentMethod,
    PaymentStatusChange,
)
from payments.money import to_minor
from payments.stripe_gateway import ChargeRequest, MethodRefused, Outcome, Result, StripeUnavailable, charge_key
from users.models import User

from .customers import customer_of
from .methods import find_or_add_method
from .settle import settle


@dataclass(frozen=True)
class Charge:
    """What a client asks for."""

    user_id: int
    amount: Decimal
    currency: Currency
    payment_method: int | str
    """The id of a payment method, or a Stripe id to attach on the fly."""
    capture: bool
    description: str
    idempotency_key: str

    def fingerprint(self) -> str:
        """SHA-256 of the canonical request."""
        canonical = [
            self.user_id,
            to_minor(self.amount, self.currency.decimals),
            self.currency.code,
            str(self.payment_method),
            self.capture,
            self.description,
        ]
        return hashlib.sha256(json.dumps(canonical, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class Charged:
    """The payment, and whether an earlier request with the same key made it."""

    payment: Payment
    replayed: bool


def charge(request: Charge) -> Charged:
    """Charge once per idempotency key."""
    earlier = Payment.objects.filter(user_id=request.user_id, idempotency_key=request.idempotency_key).first()
    if earlier is not None:
        return _replay(earlier, request)
    user = User.objects.filter(pk=request.user_id, is_active=True).first()
    if user is None:
        raise Problem(403, "forbidden", "Forbidden", "This account cannot be charged.")
    try:
        customer = customer_of(user.pk)
        method: PaymentMethod | None = _method(customer, request.payment_method)
        refused = None
    except StripeUnavailable:
        raise Problem(
            503,
            "unavailable",
            "Service unavailable",
            "The payment provider does not answer, nothing was charged. Try again with the same Idempotency-Key.",
            headers={"Retry-After": "2"},
        ) from None
    except MethodRefused as error:
        if not error.declined:
            raise field_error("paymentMethodId", error.message) from None
        method, refused = None, Outcome(Result.DECLINED, None, error.code, error.message)

    payment = _begin(request, customer, method)
    if payment is None:
        # Another request with this key was faster.
        winner = Payment.objects.get(user_id=request.user_id, idempotency_key=request.idempotency_key)
        return _replay(winner, request)
    # A crash, a timeout or a lost answer from here on leaves the payment pending;
    # `reconcile_pending_payments` finds out.
    outcome = refused or stripe_gateway.charge(stripe_request(payment))
    return Charged(settle(payment.pk, outcome, reason="charge"), replayed=False)


def stripe_request(payment: Payment) -> ChargeRequest:
    """What Stripe is asked for a payment; the same each time it is asked."""
    if payment.payment_method is None:
        raise ValueError(f"payment {payment.pk} has no payment method")
    return ChargeRequest(
        payment_id=payment.pk,
        amount_minor=to_minor(payment.amount, payment.currency.decimals),
        currency=payment.currency_id,
        customer_id=payment.customer.stripe_customer_id,
        payment_method_id=payment.payment_method.stripe_payment_method_id,
        capture=payment.capture,
        idempotency_key=charge_key(payment.user_id, payment.idempotency_key),
    )


def _method(customer: Customer, wanted: int | str) -> PaymentMethod:
    if isinstance(wanted, str):
        return find_or_add_method(customer, wanted)
    method = customer.payment_methods.filter(pk=wanted, detached_at=None).first()
    if method is None:
        raise field_error("paymentMethodId", "is not one of your payment methods")
    return method


def _begin(request: Charge, customer: Customer, method: PaymentMethod | None) -> Payment | None:
    """Commit the pending payment and its first attempt; None when the key is taken."""
    try:
        with transaction.atomic():
            payment = Payment.objects.create(
                user_id=request.user_id,
                customer=customer,
                payment_method=method,
                currency=request.currency,
                amount=request.amount,
                capture=request.capture,
                description=request.description,
                idempotency_key=request.idempotency_key,
                request_fingerprint=request.fingerprint(),
            )
            PaymentAttempt.objects.create(
                payment=payment,
                number=1,
                stripe_idempotency_key=charge_key(request.user_id, request.idempotency_key),
                started_at=timezone.now(),
            )
            PaymentStatusChange.objects.create(payment=payment, to_status=payment.status, reason="charge")
            return payment
    except IntegrityError:
        if Payment.objects.filter(user_id=request.user_id, idempotency_key=request.idempotency_key).exists():
            return None
        raise


def _replay(payment: Payment, request: Charge) -> Charged:
    """Answer with the payment that the key already made."""
    if payment.request_fingerprint != request.fingerprint():
        raise Problem(
            422,
            "idempotency-key-reused",
            "Idempotency key reused",
            "This Idempotency-Key was used with another request. Use a new key for a new payment.",
        )
    if _is_running(payment):
        raise Problem(
            409,
            "request-in-progress",
            "Request in progress",
            "A request with this Idempotency-Key is still running.",
            headers={"Retry-After": "1"},
        )
    return Charged(payment, replayed=True)


def _is_running(payment: Payment) -> bool:
    """Whether a call to Stripe can still be under way; one whose process died counts as ended."""
    lease = timedelta(seconds=settings.STRIPE_TIMEOUT_SECONDS + 10)
    return payment.attempts.filter(status=AttemptStatus.STARTED, started_at__gt=timezone.now() - lease).exists()
