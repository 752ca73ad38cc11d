"""Payments as JSON."""

from __future__ import annotations

from typing import Any

from common.times import rfc3339, rfc3339_or_none

from .models import Payment, PaymentMethod
from .money import format_amount


def payment_json(payment: Payment) -> dict[str, Any]:
    """The payment as its user sees it. Needs `currency` loaded."""
    decimals = payment.currency.decimals
    return {
        "id": payment.pk,
        "userId": payment.user_id,
        "amount": format_amount(payment.amount, decimals),
        "currency": payment.currency_id,
        "status": payment.status,
        "paymentMethodId": payment.payment_method_id,
        "stripePaymentIntentId": payment.stripe_payment_intent_id,
        "amountRefunded": format_amount(payment.amount_refunded, decimals),
        "failureCode": payment.failure_code or None,
        "failureMessage": payment.failure_message or None,
        "description": payment.description or None,
        "createdAt": rfc3339(payment.created_at),
        "completedAt": rfc3339_or_none(payment.completed_at),
    }


def payment_method_json(method: PaymentMethod) -> dict[str, Any]:
    """The payment method as its user sees it."""
    return {
        "id": method.pk,
        "brand": method.brand,
        "last4": method.last4,
        "expMonth": method.exp_month,
        "expYear": method.exp_year,
        "isDefault": method.is_default,
    }
