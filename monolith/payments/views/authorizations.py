"""POST /api/payments/{id}/capture and /api/payments/{id}/cancel"""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse

from common.bodies import Body, read_json
from payments.models import PaymentStatus
from payments.serializers import payment_json
from payments.services.cancel import cancel as cancel_payment
from payments.services.capture import capture as capture_payment
from users.auth import AuthenticatedRequest

from .keys import amount
from .payments import own_payment
from .served_here import served_here


@served_here
def capture(request: AuthenticatedRequest, payment_id: int) -> JsonResponse:
    """Take reserved money, all or part of it: 200, 202 while the outcome is unknown."""
    body = _body_or_none(request)
    payment = own_payment(request, payment_id)
    wanted = amount(body, payment.currency.decimals)
    body.done()
    captured = capture_payment(request.caller.user_id, payment_id, wanted)
    return JsonResponse(payment_json(captured), status=200 if captured.completed_at else 202)


@served_here
def cancel(request: AuthenticatedRequest, payment_id: int) -> JsonResponse:
    """Give reserved money free: 200, 202 while the outcome is unknown."""
    _body_or_none(request)
    canceled = cancel_payment(request.caller.user_id, payment_id)
    return JsonResponse(payment_json(canceled), status=200 if canceled.status == PaymentStatus.CANCELED else 202)


def _body_or_none(request: HttpRequest) -> Body:
    """No body is an empty one."""
    return read_json(request) if request.body else Body({})
