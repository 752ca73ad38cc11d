"""Payment methods."""

from __future__ import annotations

from banyan.ownership import hold
from django.db import transaction

from payments import stripe_gateway
from payments.models import Customer, PaymentMethod
from payments.stripe_gateway import Card, MethodRefused

from .customers import customer_of


def add_method(user_id: int, stripe_id: str) -> PaymentMethod:
    """Attach a card to the user; the first one becomes the default."""
    customer = customer_of(user_id)
    found = stripe_gateway.find_card(stripe_id)
    return _keep(customer, stripe_gateway.attach_card(found.stripe_id, customer.stripe_customer_id))


def find_or_add_method(customer: Customer, stripe_id: str) -> PaymentMethod:
    """The user's method with this Stripe id or for the same card, else the card newly attached."""
    attached = customer.payment_methods.filter(detached_at=None)
    if method := attached.filter(stripe_payment_method_id=stripe_id).first():
        return method
    card = stripe_gateway.find_card(stripe_id)
    if card.fingerprint:
        same = attached.filter(fingerprint=card.fingerprint, exp_month=card.exp_month, exp_year=card.exp_year)
        if method := same.order_by("id").first():
            return method
    return _keep(customer, stripe_gateway.attach_card(card.stripe_id, customer.stripe_customer_id))


def _keep(customer: Customer, card: Card) -> PaymentMethod:
    with transaction.atomic():
        hold("payments", customer.user_id)
        # The customer's row serialises who gets to be the default.
        Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
        has_default = customer.payment_methods.filter(is_default=True).exists()
        method, _ = PaymentMethod.objects.get_or_create(
            stripe_payment_method_id=card.stripe_id,
            defaults={
                "customer": customer,
                "brand": card.brand,
                "last4": card.last4,
                "exp_month": card.exp_month,
                "exp_year": card.exp_year,
                "fingerprint": card.fingerprint,
                "is_default": not has_default,
            },
        )
        if method.customer_id != customer.pk:
            raise MethodRefused("in_use", "is not a payment method", declined=False)
        if method.detached_at is not None:
            method.detached_at, method.is_default = None, not has_default
            method.save()
    return method
