"""POST /api/payments/subscriptions and DELETE /api/payments/subscriptions/{id}"""

from __future__ import annotations

from django.http import JsonResponse

from common.bodies import read_json
from payments.models import Subscription, SubscriptionStatus
from payments.serializers import subscription_json
from payments.services.cancel_subscription import cancel_subscription
from payments.services.subscribe import Order, subscribe
from users.auth import AuthenticatedRequest

from .keys import idempotency_key, payment_method
from .served_here import served_here


@served_here
def create_subscription(request: AuthenticatedRequest) -> JsonResponse:
    """Subscribe to a plan: 201, 202 while the first payment is unknown, 402 when it was declined."""
    key = idempotency_key(request)
    body = read_json(request)
    plan_id = body.integer_or_none("planId")
    if body.raw("planId") is None:
        body.fail("planId", "is required")
    method = payment_method(body)
    coupon_code = body.text("couponCode", max_length=40, default="")
    body.done()
    subscribed = subscribe(Order(request.caller.user_id, plan_id or 0, method, coupon_code, key))
    headers = {"Idempotent-Replayed": "true"} if subscribed.replayed else {}
    return JsonResponse(
        subscription_json(subscribed.subscription), status=_status(subscribed.subscription), headers=headers
    )


@served_here
def delete_subscription(request: AuthenticatedRequest, subscription_id: int) -> JsonResponse:
    """End a subscription with its paid period, or at once when it is not paid."""
    return JsonResponse(subscription_json(cancel_subscription(request.caller.user_id, subscription_id)))


def _status(subscription: Subscription) -> int:
    if subscription.status == SubscriptionStatus.INCOMPLETE:
        return 202
    return 402 if subscription.status == SubscriptionStatus.INCOMPLETE_EXPIRED else 201
