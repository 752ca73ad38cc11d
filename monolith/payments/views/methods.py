"""GET and POST /api/payments/methods, DELETE /api/payments/methods/{id}"""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse

from common.bodies import read_json
from common.pages import page
from common.problems import Problem, field_error
from payments.models import PaymentMethod
from payments.serializers import payment_method_json
from payments.services.methods import add_method as add
from payments.services.remove_method import remove_method
from payments.stripe_gateway import MethodRefused, StripeUnavailable
from users.auth import AuthenticatedRequest

from .served_here import served_here


@served_here
def list_methods(request: AuthenticatedRequest) -> JsonResponse:
    """The caller's payment methods, newest first."""
    rows = PaymentMethod.objects.filter(customer__user_id=request.caller.user_id, detached_at=None)
    return page(request, rows, payment_method_json)


@served_here
def add_method(request: AuthenticatedRequest) -> JsonResponse:
    """Attach a Stripe payment method to the caller; 402 when the bank refuses it."""
    body = read_json(request)
    stripe_id = body.text("stripePaymentMethodId", max_length=64)
    if stripe_id and not stripe_id.startswith("pm_"):
        body.fail("stripePaymentMethodId", "must be a Stripe payment method id, such as pm_card_visa")
    body.done()
    try:
        method = add(request.caller.user_id, stripe_id)
    except MethodRefused as error:
        if error.declined:
            raise Problem(402, "payment-method-declined", "Payment method declined", error.message) from None
        raise field_error("stripePaymentMethodId", error.message) from None
    except StripeUnavailable:
        raise Problem(
            503,
            "unavailable",
            "Service unavailable",
            "The payment provider does not answer. Try again in a moment.",
            headers={"Retry-After": "2"},
        ) from None
    return JsonResponse(payment_method_json(method), status=201)


@served_here
def delete_method(request: AuthenticatedRequest, method_id: int) -> HttpResponse:
    """Detach one of the caller's payment methods."""
    remove_method(request.caller.user_id, method_id)
    return HttpResponse(status=204)
