"""GET /api/payments/ and /api/payments/{id}"""

from __future__ import annotations

from django.http import JsonResponse

from common.pages import page
from common.problems import missing
from payments.models import Payment
from payments.serializers import payment_json
from users.auth import AuthenticatedRequest

from .served_here import served_here


@served_here
def list_payments(request: AuthenticatedRequest) -> JsonResponse:
    """The caller's payments, newest first."""
    rows = Payment.objects.filter(user_id=request.caller.user_id).select_related("currency")
    return page(request, rows, payment_json)


@served_here
def get_payment(request: AuthenticatedRequest, payment_id: int) -> JsonResponse:
    """One payment of the caller."""
    return JsonResponse(payment_json(own_payment(request, payment_id)))


def own_payment(request: AuthenticatedRequest, payment_id: int) -> Payment:
    """The caller's payment, or 404."""
    payment = Payment.objects.filter(pk=payment_id, user_id=request.caller.user_id).select_related("currency").first()
    if payment is None:
        raise missing("payment")
    return payment
