"""Charging: pending is committed, then Stripe is called, then the outcome is committed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from banyan.ownership import hold
from django.db import IntegrityError, transaction

from common.problems import Problem, field_error
from payments import stripe_gateway
from payments.models import (
    Currency,
    Customer,
    Operation,
    Payment,
    PaymentMethod,
    PaymentStatusChange,
)
from payments.money import to_minor
from payments.stripe_gateway import ChargeRequest, MethodRefused, Outcome, Result, StripeUnavailable, charge_key
from users.models import User

from .attempts import add_attempt, is_running
from .customers import customer_of
from .methods import find_or_add_method
from .replays import check_same_request, fingerprint, in_progress
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
        return fingerprint(*canonical)


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
        method: PaymentMethod | None = method_of(customer, request.payment_method)
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
        off_session=payment.off_session,
        idempotency_key=charge_key(payment.user_id, payment.idempotency_key),
    )


def method_of(customer: Customer, wanted: int | str) -> PaymentMethod:
    """The customer's own payment method, or one attached on the fly."""
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
            hold("payments", request.user_id)
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
            add_attempt(payment, Operation.CHARGE, charge_key(request.user_id, request.idempotency_key))
            PaymentStatusChange.objects.create(payment=payment, to_status=payment.status, reason="charge")
            return payment
    except IntegrityError:
        if Payment.objects.filter(user_id=request.user_id, idempotency_key=request.idempotency_key).exists():
            return None
        raise


def _replay(payment: Payment, request: Charge) -> Charged:
    """Answer with the payment that the key already made."""
    check_same_request(payment.request_fingerprint, request.fingerprint())
    if is_running(payment):
        raise in_progress()
    return Charged(payment, replayed=True)
