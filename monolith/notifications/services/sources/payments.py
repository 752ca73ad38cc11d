"""Receipts and news of declined payments, read from the payments tables."""

from __future__ import annotations

from payments.models import Payment
from payments.money import format_amount

from .letter import Letter


def payment(payment_id: int) -> Letter:
    """A payment that was completed or declined."""
    row = Payment.objects.select_related("user__profile", "currency").get(pk=payment_id)
    amount = format_amount(row.amount, row.currency.decimals)
    return Letter(row.user, row.user.email, {"payment": row, "amount": amount})
