"""Refunds that were not made here."""

from __future__ import annotations

from django.db import transaction

from payments.models import Payment, Refund
from payments.money import from_minor


def adopt_refund(payment_id: int, stripe_id: str, amount_minor: int) -> Refund:
    """The row of a refund that was made in Stripe's dashboard."""
    with transaction.atomic():
        payment = Payment.objects.select_for_update(of=("self",)).select_related("currency").get(pk=payment_id)
        refund, _ = Refund.objects.get_or_create(
            stripe_refund_id=stripe_id,
            defaults={
                "payment": payment,
                "amount": from_minor(amount_minor, payment.currency.decimals),
                "currency": payment.currency,
            },
        )
    return refund
