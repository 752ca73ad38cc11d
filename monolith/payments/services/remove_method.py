"""Removing a payment method."""

from __future__ import annotations

import logging

from banyan.ownership import hold
from django.db import transaction
from django.utils import timezone

from common.problems import missing
from payments import stripe_gateway
from payments.models import LIVE, Customer, PaymentMethod
from payments.stripe_gateway import StripeUnavailable

from .replays import invalid_state

logger = logging.getLogger(__name__)


def remove_method(user_id: int, method_id: int) -> None:
    """Detach a card: here first, so that it is never charged again, then at Stripe."""
    method = _detach(user_id, method_id)
    try:
        stripe_gateway.detach_card(method.stripe_payment_method_id)
    except StripeUnavailable:
        logger.warning("card still attached at Stripe", extra={"payment_method_id": method.pk})


def _detach(user_id: int, method_id: int) -> PaymentMethod:
    with transaction.atomic():
        hold("payments", user_id)
        # The customer's row serialises who is the default, and what is subscribed to.
        customer = Customer.objects.select_for_update(no_key=True).filter(user_id=user_id).first()
        attached = PaymentMethod.objects.filter(customer=customer, detached_at=None)
        method = attached.filter(pk=method_id).first()
        if customer is None or method is None:
            raise missing("payment method")
        if method.subscriptions.filter(status__in=LIVE).exists():
            raise invalid_state("A subscription uses this payment method.")
        was_default = method.is_default
        method.is_default, method.detached_at = False, timezone.now()
        method.save()
        if was_default and (newest := attached.order_by("-created_at", "-id").first()):
            newest.is_default = True
            newest.save()
    return method
