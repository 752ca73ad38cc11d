"""News of refunds, read from the payments tables."""

from __future__ import annotations

from payments.models import Refund
from payments.money import format_amount

from .letter import Letter


def refund(refund_id: int) -> Letter:
    """Money that was given back."""
    row = Refund.objects.select_related("payment__user__profile", "currency").get(pk=refund_id)
    user = row.payment.user
    return Letter(user, user.email, {"refund": row, "amount": format_amount(row.amount, row.currency.decimals)})
