"""Sending what payments brought to the bank."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from payments import stripe_gateway
from payments.models import Dispute, Fee, Payment, Payout, PayoutItem, PayoutStatus
from payments.money import to_minor
from payments.stripe_gateway import PayoutOutcome, PayoutResult

from .attempts import GIVE_UP_AFTER, REPLAY_WINDOW, lease_start
from .own_rows import own
from .settle_payout import settle_payout

# Stripe makes money available two days after the payment.
SETTLED_AFTER = timedelta(days=2)
BATCH = 10_000


def due_currencies() -> list[str]:
    """Currencies with settled payments that are not, or not fully, paid out."""
    return sorted(_due().values_list("currency", flat=True).distinct())


def create_payout(currency: str) -> Payout | None:
    """Pay out all that is due in a currency; None while that is nothing, or less than nothing."""
    payout = _begin(currency)
    return None if payout is None else _send(payout)


def open_payouts() -> list[int]:
    """Payouts that Stripe has not told the end of, oldest first."""
    unfinished = Payout.objects.filter(status__in=[PayoutStatus.PENDING, PayoutStatus.IN_TRANSIT])
    stale = own(unfinished).filter(started_at__lt=lease_start())
    return list(stale.order_by("created_at").values_list("id", flat=True))


def reconcile_payout(payout_id: int) -> Payout:
    """Ask Stripe how a payout stands; one that it does not have is asked for again, and given up after a day."""
    payout = Payout.objects.select_related("currency").get(pk=payout_id)
    if payout.stripe_payout_id is not None:
        outcome = stripe_gateway.get_payout(payout.stripe_payout_id)
    else:
        outcome = stripe_gateway.find_payout(payout.pk)
    age = timezone.now() - payout.created_at
    if outcome is None and age < REPLAY_WINDOW:
        return _send(payout)
    if outcome is None and age > GIVE_UP_AFTER:
        outcome = PayoutOutcome(PayoutResult.FAILED, None, "not_processed")
    return payout if outcome is None else settle_payout(payout.pk, outcome)


def _send(payout: Payout) -> Payout:
    Payout.objects.filter(pk=payout.pk).update(started_at=timezone.now())
    amount_minor = to_minor(payout.amount, payout.currency.decimals)
    return settle_payout(payout.pk, stripe_gateway.create_payout(payout.pk, amount_minor, payout.currency_id))


def _due() -> QuerySet[Payment]:
    return own(Payment.objects.filter(payout_due=True, completed_at__lte=timezone.now() - SETTLED_AFTER))


def _begin(currency: str) -> Payout | None:
    """Commit the payout and its items before it is asked for.

    Payments that are locked are being refunded or paid out elsewhere: they are in the next payout.
    """
    with transaction.atomic():
        due = _due().filter(currency=currency).select_for_update(of=("self",), skip_locked=True)
        payments = list(due.order_by("completed_at", "id")[:BATCH])
        owed = owed_for(payments)
        total = sum(owed.values(), Decimal(0))
        if total <= 0:
            return None
        payout = Payout.objects.create(
            currency_id=currency,
            amount=total,
            payment_count=sum(amount != 0 for amount in owed.values()),
            started_at=timezone.now(),
        )
        PayoutItem.objects.bulk_create(
            PayoutItem(payout=payout, payment_id=payment_id, amount=amount)
            for payment_id, amount in owed.items()
            if amount
        )
        Payment.objects.filter(pk__in=list(owed)).update(payout_due=False)
        return payout


def owed_for(payments: list[Payment]) -> dict[int, Decimal]:
    """What each payment still adds: its amount less refunds, disputes, fee, and what was paid out before."""
    owed = {payment.pk: payment.amount - payment.amount_refunded for payment in payments}
    ids = list(owed)
    taken = [
        Fee.objects.filter(payment_id__in=ids),
        Dispute.objects.filter(payment_id__in=ids, is_withdrawn=True),
        PayoutItem.objects.filter(payment_id__in=ids, is_released=False),
    ]
    for rows in taken:
        for payment_id, amount in rows.values_list("payment_id").annotate(sum=Sum("amount")):
            owed[payment_id] -= amount
    return owed
