"""Payments with who made them and by which card."""

from __future__ import annotations

from payments.models import Payment
from payments.money import format_amount
from reporting.ranges import DayRange

from .stream import Rows, stream

_HEADING = [
    "id",
    "createdAt",
    "completedAt",
    "userId",
    "email",
    "amount",
    "currency",
    "status",
    "amountRefunded",
    "cardBrand",
    "cardLast4",
    "description",
    "stripePaymentIntentId",
]


def payments(days: DayRange) -> Rows:
    """The payments that were begun on these days."""
    yield _HEADING
    rows = Payment.objects.filter(created_at__gte=days.begin, created_at__lt=days.end)
    for row in stream(rows.select_related("currency", "user", "payment_method")):
        method, decimals = row.payment_method, row.currency.decimals
        yield [
            row.pk,
            row.created_at,
            row.completed_at,
            row.user_id,
            row.user.email,
            format_amount(row.amount, decimals),
            row.currency_id,
            row.status,
            format_amount(row.amount_refunded, decimals),
            method.brand if method else None,
            method.last4 if method else None,
            row.description,
            row.stripe_payment_intent_id,
        ]
