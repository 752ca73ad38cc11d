"""What is done about each type of Stripe's events.

Events come late, twice and out of order, so an event only says where to look: the object is fetched again, and its
present state applied. Disputes are the exception where Stripe's stand-in has none; there the event's own copy counts,
unless a newer one was seen.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from payments import stripe_gateway
from payments.models import DisputeStatus, Payment, Payout, Refund
from payments.stripe_gateway import FoundRefund, RefundResult, Result

from .adopt_refund import adopt_refund
from .disputes import apply_dispute
from .settle import settle
from .settle_payout import settle_payout
from .settle_refund import settle_refund

Handler = Callable[[dict[str, Any], datetime], bool]
"""Takes the event's object and time; says whether it was about anything of ours."""


def payment_intent_changed(sent: dict[str, Any], _: datetime) -> bool:
    """A payment has a new state."""
    found = stripe_gateway.get_intent(str(sent["id"]))
    if found is None:
        return False
    payment = _payment_of(str(sent["id"]))
    if payment is None and found.payment_id is not None:
        # The answer to the charge is not written down yet, or got lost.
        own = Payment.objects.filter(pk=found.payment_id, stripe_payment_intent_id=None)
        payment = own.filter(customer__stripe_customer_id=found.customer_id).first()
    if payment is None:
        return False
    if found.outcome.result is not Result.UNKNOWN:
        settle(payment.pk, found.outcome, reason="webhook")
    return True


def charge_refunded(sent: dict[str, Any], _: datetime) -> bool:
    """Refunds were made, by us or in Stripe's dashboard."""
    intent_id = sent.get("payment_intent")
    payment = _completed_payment_of(intent_id)
    if payment is None:
        return False
    for stripe_id, found in stripe_gateway.refunds_of(str(intent_id)):
        _apply_refund(payment, stripe_id, found)
    return True


def refund_changed(sent: dict[str, Any], _: datetime) -> bool:
    """A refund has a new state."""
    found = stripe_gateway.get_refund(str(sent["id"]))
    payment = _completed_payment_of(found.intent_id) if found else None
    if found is None or payment is None:
        return False
    _apply_refund(payment, str(sent["id"]), found)
    return True


def dispute_changed(sent: dict[str, Any], seen_at: datetime) -> bool:
    """A payment is disputed, or its dispute has a new state."""
    found = stripe_gateway.get_dispute(str(sent["id"])) or sent
    intent_id = found.get("payment_intent")
    if not intent_id and found.get("charge"):
        intent_id = stripe_gateway.intent_of_charge(str(found["charge"]))
    payment = _completed_payment_of(intent_id)
    if payment is None or found.get("status") not in DisputeStatus.values:
        return False
    apply_dispute(payment.pk, found, seen_at)
    return True


def payout_changed(sent: dict[str, Any], _: datetime) -> bool:
    """A payout has a new state."""
    outcome = stripe_gateway.get_payout(str(sent["id"]))
    payout = Payout.objects.filter(stripe_payout_id=sent["id"]).first()
    if outcome is None or payout is None:
        return False
    settle_payout(payout.pk, outcome)
    return True


HANDLERS: dict[str, Handler] = {
    "payment_intent.succeeded": payment_intent_changed,
    "payment_intent.payment_failed": payment_intent_changed,
    "payment_intent.canceled": payment_intent_changed,
    "payment_intent.amount_capturable_updated": payment_intent_changed,
    "payment_intent.requires_action": payment_intent_changed,
    "charge.refunded": charge_refunded,
    "refund.updated": refund_changed,
    "refund.failed": refund_changed,
    "charge.dispute.created": dispute_changed,
    "charge.dispute.updated": dispute_changed,
    "charge.dispute.closed": dispute_changed,
    "payout.paid": payout_changed,
    "payout.failed": payout_changed,
}


def _payment_of(intent_id: Any) -> Payment | None:
    return Payment.objects.filter(stripe_payment_intent_id=intent_id).first() if intent_id else None


def _completed_payment_of(intent_id: Any) -> Payment | None:
    """The payment that money moved for; news of its completion may still be on the way."""
    payment = _payment_of(intent_id)
    if intent_id and (payment is None or payment.completed_at is None):
        payment_intent_changed({"id": intent_id}, datetime.now(UTC))
        payment = _payment_of(intent_id)
    return payment if payment and payment.completed_at else None


def _apply_refund(payment: Payment, stripe_id: str, found: FoundRefund) -> None:
    refund = Refund.objects.filter(stripe_refund_id=stripe_id).first()
    if refund is None and found.refund_id is not None:
        refund = payment.refunds.filter(pk=found.refund_id, stripe_refund_id=None).first()
    if refund is None:
        if found.outcome.result is RefundResult.FAILED:
            return
        refund = adopt_refund(payment.pk, stripe_id, found.amount_minor)
    settle_refund(refund.pk, found.outcome, reason="webhook")
