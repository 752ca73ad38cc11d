"""Payments as JSON."""

from __future__ import annotations

from typing import Any

from common.times import rfc3339, rfc3339_or_none

from .models import Invoice, Payment, PaymentMethod, Refund, Subscription
from .money import format_amount
from .services.balance import Balance


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


def refund_json(refund: Refund) -> dict[str, Any]:
    """The refund as the payment's user sees it. Needs `currency` loaded."""
    return {
        "id": refund.pk,
        "paymentId": refund.payment_id,
        "amount": format_amount(refund.amount, refund.currency.decimals),
        "currency": refund.currency_id,
        "status": refund.status,
        "reason": refund.reason or None,
        "stripeRefundId": refund.stripe_refund_id,
        "failureCode": refund.failure_code or None,
        "createdAt": rfc3339(refund.created_at),
        "completedAt": rfc3339_or_none(refund.completed_at),
    }


def subscription_json(subscription: Subscription) -> dict[str, Any]:
    """The subscription as its user sees it. Needs `coupon` loaded."""
    return {
        "id": subscription.pk,
        "userId": subscription.user_id,
        "planId": subscription.plan_id,
        "status": subscription.status,
        "paymentMethodId": subscription.payment_method_id,
        "couponCode": subscription.coupon.code if subscription.coupon else None,
        "currentPeriodStart": rfc3339(subscription.current_period_start),
        "currentPeriodEnd": rfc3339(subscription.current_period_end),
        "cancelAtPeriodEnd": subscription.cancel_at_period_end,
        "createdAt": rfc3339(subscription.created_at),
        "canceledAt": rfc3339_or_none(subscription.canceled_at),
    }


def invoice_json(invoice: Invoice) -> dict[str, Any]:
    """The invoice as its user sees it. Needs `currency` and `lines` loaded."""
    decimals = invoice.currency.decimals
    return {
        "id": invoice.pk,
        "number": invoice.number,
        "subscriptionId": invoice.subscription_id,
        "status": invoice.status,
        "currency": invoice.currency_id,
        "subtotal": format_amount(invoice.subtotal, decimals),
        "discount": format_amount(invoice.discount, decimals),
        "total": format_amount(invoice.total, decimals),
        "periodStart": rfc3339(invoice.period_start),
        "periodEnd": rfc3339(invoice.period_end),
        "paymentId": invoice.payment_id,
        "lines": [
            {
                "description": line.description,
                "amount": format_amount(line.amount, decimals),
                "periodStart": rfc3339(line.period_start),
                "periodEnd": rfc3339(line.period_end),
                "proration": line.proration,
            }
            for line in sorted(invoice.lines.all(), key=lambda line: line.pk)
        ],
        "createdAt": rfc3339(invoice.created_at),
        "paidAt": rfc3339_or_none(invoice.paid_at),
    }


def balance_json(balance: Balance) -> dict[str, Any]:
    """A balance as its user sees it."""
    decimals = balance.currency.decimals
    return {
        "currency": balance.currency.code,
        "paid": format_amount(balance.paid, decimals),
        "refunded": format_amount(balance.refunded, decimals),
        "disputed": format_amount(balance.disputed, decimals),
        "net": format_amount(balance.net, decimals),
        "pending": format_amount(balance.pending, decimals),
    }
