"""Giving reserved money free."""

from __future__ import annotations

from banyan.ownership import hold
from django.db import transaction

from payments import stripe_gateway
from payments.models import AttemptStatus, Operation, Payment, PaymentStatus
from payments.stripe_gateway import cancel_key

from .attempts import add_attempt, is_running, undecided
from .capture import lock_own
from .replays import invalid_state
from .settle import settle

CANCELABLE = {PaymentStatus.REQUIRES_CAPTURE, PaymentStatus.REQUIRES_ACTION}


def cancel(user_id: int, payment_id: int) -> Payment:
    """Cancel a payment; asked for again, it is answered with the canceled payment."""
    payment = _begin(user_id, payment_id)
    if payment.status == PaymentStatus.CANCELED:
        return payment
    settled = send_cancel(payment)
    if settled.status != PaymentStatus.CANCELED and undecided(settled) is None:
        raise invalid_state(f"The payment is {settled.status} and cannot be canceled.")
    return settled


def send_cancel(payment: Payment) -> Payment:
    """Ask Stripe for the cancellation, and write down what came of it."""
    if payment.stripe_payment_intent_id is None:
        raise ValueError(f"payment {payment.pk} is not known at Stripe")
    outcome = stripe_gateway.cancel(payment.pk, payment.stripe_payment_intent_id)
    return settle(payment.pk, outcome, reason=Operation.CANCEL)


def _begin(user_id: int, payment_id: int) -> Payment:
    """Note the cancellation before it is asked for, unless it has happened."""
    with transaction.atomic():
        hold("payments", user_id)
        payment = lock_own(user_id, payment_id)
        if payment.status == PaymentStatus.CANCELED:
            return payment
        if payment.status not in CANCELABLE:
            raise invalid_state(f"A payment that is {payment.status} cannot be canceled.")
        earlier = undecided(payment)
        if is_running(payment) or (earlier is not None and earlier.operation != Operation.CANCEL):
            raise invalid_state("The outcome of an earlier request for this payment is not known yet.", retry=True)
        if earlier is not None:
            earlier.status = AttemptStatus.DECLINED  # superseded: the same call is made once more
            earlier.save()
        add_attempt(payment, Operation.CANCEL, cancel_key(payment.pk))
        return payment
