"""Ending subscriptions."""

from __future__ import annotations

from datetime import datetime

from banyan.ownership import hold
from django.db import transaction
from django.utils import timezone

from common.problems import missing
from payments.models import LIVE, Invoice, InvoiceStatus, Subscription, SubscriptionStatus


def cancel_subscription(user_id: int, subscription_id: int) -> Subscription:
    """End a subscription with its paid period; one that is not paid ends at once."""
    now = timezone.now()
    with transaction.atomic():
        hold("payments", user_id)
        rows = Subscription.objects.select_for_update(of=("self",)).select_related("coupon")
        subscription = rows.filter(pk=subscription_id, user_id=user_id).first()
        if subscription is None:
            raise missing("subscription")
        if subscription.status == SubscriptionStatus.ACTIVE:
            subscription.cancel_at_period_end = True
            subscription.save()
        elif subscription.status in LIVE:
            end_now(subscription, now)
    return subscription


def end_all_of(user_id: int) -> None:
    """End every subscription of a user whose account goes, in the caller's transaction."""
    now = timezone.now()
    live = Subscription.objects.select_for_update().filter(user_id=user_id, status__in=LIVE)
    for subscription in live.order_by("id"):
        end_now(subscription, now)


def end_now(subscription: Subscription, now: datetime) -> None:
    """End a subscription, which is locked; a payment that is under way is given back when it completes."""
    subscription.status, subscription.canceled_at = SubscriptionStatus.CANCELED, now
    subscription.save()
    Invoice.objects.filter(subscription=subscription, status=InvoiceStatus.OPEN).update(
        status=InvoiceStatus.VOID, updated_at=now
    )
