"""Our users as Stripe's customers."""

from __future__ import annotations

from banyan.ownership import hold
from django.db import transaction

from payments import stripe_gateway
from payments.models import Customer


def customer_of(user_id: int) -> Customer:
    """The user's customer, made at Stripe on first use."""
    customer = Customer.objects.filter(user_id=user_id).first()
    if customer is not None:
        return customer
    stripe_id = stripe_gateway.create_customer(user_id)
    with transaction.atomic():
        hold("payments", user_id)
        # Two first requests at once: the row that came first counts.
        customer, _ = Customer.objects.get_or_create(user_id=user_id, defaults={"stripe_customer_id": stripe_id})
    return customer
