"""Fees of completed payments."""

from __future__ import annotations

from datetime import datetime

from payments.models import Fee, FeeSchedule, Payment
from payments.money import from_minor, to_minor

from .ledger import book_fee


def charge_fee(payment: Payment, now: datetime) -> None:
    """Note and book what Stripe keeps of a payment, by the schedule that is valid now."""
    valid = FeeSchedule.objects.filter(currency_id=payment.currency_id, valid_from__lte=now)
    schedule = valid.order_by("-valid_from").first()
    if schedule is None:
        return
    decimals = payment.currency.decimals
    minor = fee_minor(to_minor(payment.amount, decimals), schedule.percent_bp, to_minor(schedule.fixed, decimals))
    if minor:
        amount = from_minor(minor, decimals)
        book_fee(Fee.objects.create(payment=payment, schedule=schedule, amount=amount, currency=payment.currency))


def fee_minor(amount_minor: int, percent_bp: int, fixed_minor: int) -> int:
    """The percentage, rounded half up, and the fixed part."""
    return (amount_minor * percent_bp + 5_000) // 10_000 + fixed_minor
