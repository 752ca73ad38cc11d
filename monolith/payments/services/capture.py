"""Taking money that was reserved."""

from __future__ import annotations

from decimal import Decimal

from banyan.ownership import hold
from django.db import transaction

from common.problems import field_error, missing
from payments import stripe_gateway
from payments.models import AttemptStatus, Operation, Payment, PaymentStatus
from payments.money import to_minor
from payments.stripe_gateway import Outcome, capture_key

from .attempts import add_attempt, is_running, undecided
from .replays import invalid_state
from .settle import settle


def capture(user_id: int, payment_id: int, amount: Decimal | None) -> Payment:
    """Capture a payment, or a part of it; asked for again, it is answered with the captured payment."""
    payment = _begin(user_id, payment_id, amount)
    if payment.completed_at is not None:
        return payment
    settled = send_capture(payment)
    if settled.status == PaymentStatus.REQUIRES_CAPTURE and undecided(settled) is None:
        raise invalid_state("The payment provider refused to capture this payment.")
    if settled.status == PaymentStatus.CANCELED:
        raise invalid_state("The payment was canceled.")
    return settled


def send_capture(payment: Payment) -> Payment:
    """Ask Stripe for the capture that was noted last, and write down what came of it."""
    attempt = undecided(payment)
    if attempt is None or attempt.amount is None or payment.stripe_payment_intent_id is None:
        raise ValueError(f"payment {payment.pk} has no capture to ask for")
    amount_minor = to_minor(attempt.amount, payment.currency.decimals)
    outcome: Outcome = stripe_gateway.capture(payment.pk, payment.stripe_payment_intent_id, amount_minor)
    return settle(payment.pk, outcome, reason=Operation.CAPTURE)


def _begin(user_id: int, payment_id: int, amount: Decimal | None) -> Payment:
    """Note the capture before it is asked for, unless it has happened."""
    with transaction.atomic():
        hold("payments", user_id)
        payment = lock_own(user_id, payment_id)
        wanted = amount if amount is not None else payment.amount_authorized
        if payment.completed_at is not None and payment.amount_authorized is not None and payment.amount == wanted:
            return payment
        if payment.status != PaymentStatus.REQUIRES_CAPTURE or wanted is None:
            raise invalid_state(f"A payment that is {payment.status} cannot be captured.")
        if wanted > payment.amount:
            raise field_error("amount", "is more than was authorised")
        earlier = undecided(payment)
        if earlier is not None and (earlier.operation != Operation.CAPTURE or earlier.amount != wanted):
            raise invalid_state("The outcome of an earlier request for this payment is not known yet.", retry=True)
        if is_running(payment):
            raise invalid_state("This payment is being captured.", retry=True)
        if earlier is not None:
            earlier.status = AttemptStatus.DECLINED  # superseded: the same call is made once more
            earlier.save()
        add_attempt(payment, Operation.CAPTURE, capture_key(payment.pk), amount=wanted)
        return payment


def lock_own(user_id: int, payment_id: int) -> Payment:
    """The user's payment, locked until the transaction ends."""
    rows = Payment.objects.select_for_update(of=("self",)).select_related("currency")
    payment = rows.filter(pk=payment_id, user_id=user_id).first()
    if payment is None:
        raise missing("payment")
    return payment
