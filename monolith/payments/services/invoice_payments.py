"""What the payment of an invoice means for its subscription. Runs in the transaction that settles the payment."""

from __future__ import annotations

from datetime import datetime, timedelta

from banyan import publish_event

from payments.models import (
    LIVE,
    RENEWABLE,
    Invoice,
    InvoiceStatus,
    Payment,
    Subscription,
    SubscriptionStatus,
)

from .settle_refund import refund_unwanted

# How long after each decline a renewal is tried again; after the last one the subscription ends.
RETRY_AFTER = [timedelta(days=1), timedelta(days=3), timedelta(days=5)]


def invoice_paid(payment: Payment, now: datetime) -> None:
    """The payment went through: if it was for an invoice, the subscription runs."""
    locked = _lock(payment)
    if locked is None:
        return
    invoice, subscription = locked
    if subscription.status not in LIVE:
        # It ended while the payment was under way.
        refund_unwanted(payment)
        return
    mark_paid(invoice, subscription, now)


def invoice_payment_failed(payment: Payment, now: datetime) -> None:
    """The payment did not go through: a first one ends the subscription, a renewal is tried again later."""
    locked = _lock(payment)
    if locked is None:
        return
    invoice, subscription = locked
    if subscription.status == SubscriptionStatus.INCOMPLETE:
        subscription.status = SubscriptionStatus.INCOMPLETE_EXPIRED
        invoice.status = InvoiceStatus.VOID
    elif subscription.status in RENEWABLE:
        subscription.failed_attempts += 1
        if subscription.failed_attempts > len(RETRY_AFTER):
            subscription.status, subscription.canceled_at = SubscriptionStatus.CANCELED, now
            invoice.status = InvoiceStatus.UNCOLLECTIBLE
        else:
            subscription.status = SubscriptionStatus.PAST_DUE
            subscription.next_billing_at = now + RETRY_AFTER[subscription.failed_attempts - 1]
    subscription.save()
    invoice.save()


def mark_paid(invoice: Invoice, subscription: Subscription, now: datetime) -> None:
    """The subscription, which is locked, runs to the end of the invoice's period."""
    invoice.status, invoice.paid_at = InvoiceStatus.PAID, now
    invoice.save()
    is_renewal = subscription.status != SubscriptionStatus.INCOMPLETE
    if not is_renewal:
        _take_over(subscription, now)
    subscription.status, subscription.failed_attempts = SubscriptionStatus.ACTIVE, 0
    subscription.current_period_start, subscription.current_period_end = invoice.period_start, invoice.period_end
    subscription.next_billing_at = invoice.period_end
    subscription.save()
    # An invoice of nothing has no payment to tell of.
    if is_renewal and invoice.payment_id is not None:
        publish_event(
            "subscription.renewed",
            {
                "subscriptionId": subscription.pk,
                "userId": subscription.user_id,
                "planId": subscription.plan_id,
                "paymentId": invoice.payment_id,
                "periodStart": invoice.period_start,
                "periodEnd": invoice.period_end,
            },
            subject=f"subscription/{subscription.pk}",
        )


def _take_over(subscription: Subscription, now: datetime) -> None:
    """End the subscription that this one replaces."""
    if subscription.replaces_id is not None:
        Subscription.objects.filter(pk=subscription.replaces_id, status__in=RENEWABLE).update(
            status=SubscriptionStatus.CANCELED, canceled_at=now, updated_at=now
        )


def _lock(payment: Payment) -> tuple[Invoice, Subscription] | None:
    found = Invoice.objects.filter(payment=payment).select_related("subscription").first()
    if found is None:
        return None
    # In the order of their ids, as whoever ends all subscriptions of a user does.
    ids = [found.subscription_id, found.subscription.replaces_id]
    rows = {row.pk: row for row in Subscription.objects.select_for_update().filter(pk__in=ids).order_by("id")}
    return Invoice.objects.select_for_update().get(pk=found.pk), rows[found.subscription_id]
