"""Renewing subscriptions."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from payments import stripe_gateway
from payments.models import (
    RENEWABLE,
    Duration,
    Invoice,
    InvoiceStatus,
    Payment,
    PaymentStatus,
    Subscription,
    SubscriptionStatus,
)

from .billing import make_invoice, start_payment
from .cancel import cancel
from .cancel_subscription import end_now
from .charge import stripe_request
from .invoice_payments import mark_paid
from .own_rows import own
from .periods import period_end
from .settle import settle

BATCH = 500
# When a renewal is looked at again whose outcome nobody wrote down; `reconcile_pending_payments` mostly does before.
LOOK_AGAIN_AFTER = timedelta(hours=1)
UNDECIDED = {PaymentStatus.PENDING, PaymentStatus.REQUIRES_CAPTURE}


def due_subscriptions() -> list[int]:
    """Subscriptions whose period is over, or whose next try after a decline is due."""
    due = Subscription.objects.filter(status__in=RENEWABLE, next_billing_at__lte=timezone.now())
    return list(own(due).order_by("next_billing_at").values_list("id", flat=True)[:BATCH])


def renew(subscription_id: int) -> None:
    """Bill one subscription's next period, or end it. Any number of calls bill a period once."""
    payment = _begin(subscription_id)
    if payment is None:
        return
    if payment.status == PaymentStatus.REQUIRES_ACTION:
        # Nobody is there to confirm it: to us that is a decline.
        cancel(payment.user_id, payment.pk)
        return
    settled = settle(payment.pk, stripe_gateway.charge(stripe_request(payment)), reason="renewal")
    if settled.status == PaymentStatus.REQUIRES_ACTION:
        cancel(settled.user_id, settled.pk)


def _begin(subscription_id: int) -> Payment | None:
    """Commit the payment that is about to be asked for; None when there is nothing to ask."""
    now = timezone.now()
    with transaction.atomic():
        rows = Subscription.objects.select_for_update(of=("self",), skip_locked=True).select_related("plan", "user")
        subscription = rows.filter(pk=subscription_id, status__in=RENEWABLE, next_billing_at__lte=now).first()
        if subscription is None or _is_being_replaced(subscription):
            return None
        if subscription.cancel_at_period_end or not subscription.user.is_active:
            end_now(subscription, now)
            return None
        invoice = _invoice(subscription)
        subscription.next_billing_at = now + LOOK_AGAIN_AFTER
        subscription.save()
        if invoice.total == 0:
            mark_paid(invoice, subscription, now)
            return None
        last = invoice.payment
        if last is not None and last.status in UNDECIDED:
            return None
        if last is not None and last.status == PaymentStatus.REQUIRES_ACTION:
            return last
        return start_payment(invoice, off_session=True)


def _is_being_replaced(subscription: Subscription) -> bool:
    return subscription.replaced_by.filter(status=SubscriptionStatus.INCOMPLETE).exists()


def _invoice(subscription: Subscription) -> Invoice:
    """The open invoice of the next period."""
    start = subscription.current_period_end
    earlier = subscription.invoices.filter(period_start=start, status=InvoiceStatus.OPEN)
    if invoice := earlier.select_related("payment", "currency").first():
        return invoice
    coupon = subscription.coupon
    if coupon is not None and coupon.duration != Duration.FOREVER:
        coupon = None
    end = period_end(subscription.billing_anchor, start, subscription.plan.interval)
    return make_invoice(subscription, subscription.plan, start, end, coupon=coupon)
