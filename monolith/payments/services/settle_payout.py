"""Committing what is known of a payout."""

from __future__ import annotations

from datetime import datetime

from banyan import publish_event
from django.db import transaction
from django.utils import timezone

from payments.models import Payment, Payout, PayoutStatus
from payments.money import to_minor
from payments.stripe_gateway import PayoutOutcome, PayoutResult

from .ledger import book_payout, book_payout_failed

_STATUS = {
    PayoutResult.PENDING: PayoutStatus.PENDING,
    PayoutResult.IN_TRANSIT: PayoutStatus.IN_TRANSIT,
    PayoutResult.PAID: PayoutStatus.PAID,
    PayoutResult.FAILED: PayoutStatus.FAILED,
    PayoutResult.CANCELED: PayoutStatus.CANCELED,
}
_ENDED_BADLY = {PayoutStatus.FAILED, PayoutStatus.CANCELED}
# A bank can send money back days after the payout was paid.
_NEXT = {
    PayoutStatus.PENDING: {PayoutStatus.IN_TRANSIT, PayoutStatus.PAID, *_ENDED_BADLY},
    PayoutStatus.IN_TRANSIT: {PayoutStatus.PAID, *_ENDED_BADLY},
    PayoutStatus.PAID: {PayoutStatus.FAILED},
}


def settle_payout(payout_id: int, outcome: PayoutOutcome) -> Payout:
    """Write an outcome once; what comes late or twice changes nothing."""
    now = timezone.now()
    with transaction.atomic():
        payout = Payout.objects.select_for_update(of=("self",)).select_related("currency").get(pk=payout_id)
        if outcome.stripe_id and payout.stripe_payout_id is None:
            payout.stripe_payout_id = outcome.stripe_id
        status = _STATUS.get(outcome.result)
        if status is not None and status in _NEXT.get(PayoutStatus(payout.status), ()):
            previous, payout.status = payout.status, status
            if status == PayoutStatus.PAID:
                _pay(payout, now)
            elif status in _ENDED_BADLY:
                payout.failure_code = outcome.code[:64]
                _release(payout, was_booked=previous == PayoutStatus.PAID)
        payout.save()
    return payout


def _pay(payout: Payout, now: datetime) -> None:
    payout.paid_at = now
    book_payout(payout)
    publish_event(
        "payout.paid",
        {
            "payoutId": payout.pk,
            "amountMinor": to_minor(payout.amount, payout.currency.decimals),
            "currency": payout.currency_id,
            "paymentCount": payout.payment_count,
            "paidAt": now,
        },
        subject=f"payout/{payout.pk}",
    )


def _release(payout: Payout, *, was_booked: bool) -> None:
    """The money is still at Stripe: the payments are due again."""
    payout.items.update(is_released=True)
    Payment.objects.filter(payout_items__payout=payout).update(payout_due=True)
    if was_booked:
        book_payout_failed(payout)
