"""POST and GET /api/payments/{id}/refunds"""

from __future__ import annotations

from django.http import JsonResponse

from common.bodies import read_json
from common.pages import page
from payments.models import Refund, RefundReason, RefundStatus
from payments.serializers import refund_json
from payments.services.refund import RefundOrder, refund
from users.auth import AuthenticatedRequest

from .keys import amount, idempotency_key
from .payments import own_payment
from .served_here import served_here

_HTTP_STATUS = {RefundStatus.PENDING: 202, RefundStatus.SUCCEEDED: 201, RefundStatus.FAILED: 402}


@served_here
def create_refund(request: AuthenticatedRequest, payment_id: int) -> JsonResponse:
    """Give money back: 201, 202 while the outcome is unknown, 402 when Stripe refuses."""
    key = idempotency_key(request)
    body = read_json(request)
    payment = own_payment(request, payment_id)
    wanted = amount(body, payment.currency.decimals)
    reason = body.choice("reason", RefundReason.values, default="")
    body.done()
    refunded = refund(RefundOrder(request.caller.user_id, payment_id, wanted, reason, key))
    headers = {"Idempotent-Replayed": "true"} if refunded.replayed else {}
    status = _HTTP_STATUS[RefundStatus(refunded.refund.status)]
    return JsonResponse(refund_json(refunded.refund), status=status, headers=headers)


@served_here
def list_refunds(request: AuthenticatedRequest, payment_id: int) -> JsonResponse:
    """The refunds of one of the caller's payments, newest first."""
    payment = own_payment(request, payment_id)
    return page(request, Refund.objects.filter(payment=payment).select_related("currency"), refund_json)
