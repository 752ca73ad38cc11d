"""Subscribing, and switching to another plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from banyan.ownership import hold
from django.db import transaction
from django.utils import timezone

from common.problems import Problem, field_error
from payments import stripe_gateway
from payments.models import (
    RENEWABLE,
    Coupon,
    Customer,
    Payment,
    PaymentMethod,
    Plan,
    Subscription,
    SubscriptionStatus,
)
from payments.money import to_minor
from payments.stripe_gateway import MethodRefused, StripeUnavailable
from users.models import User

from .attempts import is_running
from .billing import credit_minor, discount_minor, make_invoice, paid_for_period, start_payment
from .charge import method_of, stripe_request
from .customers import customer_of
from .invoice_payments import mark_paid
from .periods import period_end
from .replays import check_same_request, fingerprint, in_progress, invalid_state
from .settle import settle


@dataclass(frozen=True)
class Order:
    """What a client asks for."""

    user_id: int
    plan_id: int
    payment_method: int | str
    """The id of a payment method, or a Stripe id to attach on the fly."""
    coupon_code: str
    idempotency_key: str

    def fingerprint(self) -> str:
        """SHA-256 of the canonical request."""
        return fingerprint(self.plan_id, str(self.payment_method), self.coupon_code)


@dataclass(frozen=True)
class Subscribed:
    """The subscription, and whether an earlier request with the same key made it."""

    subscription: Subscription
    replayed: bool


def subscribe(order: Order) -> Subscribed:
    """Subscribe once per idempotency key; the first period is paid at once."""
    if replay := _replay(order):
        return replay
    if not User.objects.filter(pk=order.user_id, is_active=True).exists():
        raise Problem(403, "forbidden", "Forbidden", "This account cannot subscribe.")
    plan = Plan.objects.select_related("currency").filter(pk=order.plan_id, is_active=True).first()
    if plan is None:
        raise field_error("planId", "is not a plan that can be subscribed to")
    customer, method = _method(order)
    subscription, payment = _begin(order, plan, customer, method)
    if subscription is None:
        # Another request with this key was faster.
        return _replay(order) or Subscribed(_find(order), replayed=True)
    if payment is not None:
        settle(payment.pk, stripe_gateway.charge(stripe_request(payment)), reason="subscribe")
    return Subscribed(_find(order), replayed=False)


def _replay(order: Order) -> Subscribed | None:
    """The subscription that the key already made."""
    earlier = Subscription.objects.filter(user_id=order.user_id, idempotency_key=order.idempotency_key).first()
    if earlier is None:
        return None
    check_same_request(earlier.request_fingerprint, order.fingerprint())
    first = Payment.objects.filter(invoice__subscription=earlier).order_by("id").first()
    if first is not None and is_running(first):
        raise in_progress()
    return Subscribed(_find(order), replayed=True)


def _find(order: Order) -> Subscription:
    rows = Subscription.objects.select_related("coupon")
    return rows.get(user_id=order.user_id, idempotency_key=order.idempotency_key)


def _method(order: Order) -> tuple[Customer, PaymentMethod]:
    try:
        customer = customer_of(order.user_id)
        return customer, method_of(customer, order.payment_method)
    except StripeUnavailable:
        raise Problem(
            503,
            "unavailable",
            "Service unavailable",
            "The payment provider does not answer, nothing was charged. Try again with the same Idempotency-Key.",
            headers={"Retry-After": "2"},
        ) from None
    except MethodRefused as error:
        if error.declined:
            raise Problem(402, "payment-method-declined", "Payment method declined", error.message) from None
        raise field_error("paymentMethodId", error.message) from None


def _begin(
    order: Order, plan: Plan, customer: Customer, method: PaymentMethod
) -> tuple[Subscription | None, Payment | None]:
    """Commit the subscription, its invoice and the payment that is about to be asked for."""
    now = timezone.now()
    with transaction.atomic():
        hold("payments", order.user_id)
        # The customer's row serialises what a user subscribes to.
        Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
        if Subscription.objects.filter(user_id=order.user_id, idempotency_key=order.idempotency_key).exists():
            return None, None
        if not customer.payment_methods.filter(pk=method.pk, detached_at=None).exists():
            raise field_error("paymentMethodId", "is not one of your payment methods")
        coupon = _coupon(order, plan, now)
        replaces = _current(order, plan)
        subscription = Subscription.objects.create(
            user_id=order.user_id,
            customer=customer,
            plan=plan,
            payment_method=method,
            coupon=coupon,
            replaces=replaces,
            currency=plan.currency,
            idempotency_key=order.idempotency_key,
            request_fingerprint=order.fingerprint(),
            billing_anchor=now,
            current_period_start=now,
            current_period_end=period_end(now, now, plan.interval),
            next_billing_at=period_end(now, now, plan.interval),
        )
        credit = _credit(replaces, plan, coupon, now)
        invoice = make_invoice(subscription, plan, now, subscription.current_period_end, coupon=coupon, credit=credit)
        if invoice.total == 0:
            mark_paid(invoice, subscription, now)
            return subscription, None
        return subscription, start_payment(invoice, off_session=False)


def _coupon(order: Order, plan: Plan, now: datetime) -> Coupon | None:
    if not order.coupon_code:
        return None
    coupon = Coupon.objects.select_for_update().filter(code=order.coupon_code, is_active=True).first()
    if coupon is None or (coupon.valid_until is not None and coupon.valid_until <= now):
        raise field_error("couponCode", "is not a coupon that can be used")
    if coupon.currency_id not in (None, plan.currency_id):
        raise field_error("couponCode", f"is for plans in {coupon.currency_id}")
    if coupon.is_used_up():
        raise field_error("couponCode", "has been used up")
    used = coupon.subscriptions.filter(user_id=order.user_id)
    if used.exclude(status=SubscriptionStatus.INCOMPLETE_EXPIRED).exists():
        raise field_error("couponCode", "has been used")
    return coupon


def _current(order: Order, plan: Plan) -> Subscription | None:
    """The user's subscription in the plan's currency, which this one would take over from."""
    own = Subscription.objects.select_for_update(of=("self",)).select_related("plan", "currency")
    current = own.filter(user_id=order.user_id, currency=plan.currency)
    setting_up = current.filter(status=SubscriptionStatus.INCOMPLETE).first()
    active = current.filter(status__in=RENEWABLE).first()
    if any(row is not None and row.plan_id == plan.pk for row in (setting_up, active)):
        raise Problem(409, "already-subscribed", "Already subscribed", "There is a subscription to this plan already.")
    if setting_up is not None:
        raise invalid_state("The outcome of an earlier subscription's payment is not known yet.", retry=True)
    if active is not None and active.status == SubscriptionStatus.PAST_DUE:
        raise invalid_state("The current subscription has an unpaid invoice.")
    return active


def _credit(replaces: Subscription | None, plan: Plan, coupon: Coupon | None, now: datetime) -> int:
    if replaces is None:
        return 0
    paid = paid_for_period(replaces)
    credit = credit_minor(paid, replaces.current_period_start, replaces.current_period_end, now)
    price = to_minor(plan.amount, plan.currency.decimals)
    if price - discount_minor(price, coupon, plan.currency.decimals) + credit < 0:
        raise invalid_state("The unused time of the current plan is worth more than the new plan.")
    return credit
