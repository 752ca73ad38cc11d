"""POST /api/payments/charge"""

from __future__ import annotations

from decimal import Decimal

from django.http import JsonResponse

from common.bodies import Body, read_json
from common.problems import Problem
from payments.models import Currency, Payment, PaymentStatus
from payments.money import BadAmount, parse_amount
from payments.serializers import payment_json
from payments.services.charge import Charge
from payments.services.charge import charge as make_charge
from users.auth import AuthenticatedRequest

from .keys import idempotency_key, payment_method
from .served_here import served_here


@served_here
def charge(request: AuthenticatedRequest) -> JsonResponse:
    """Charge the caller: 201, 202 while the outcome is unknown, 402 when declined."""
    key = idempotency_key(request)
    charged = make_charge(_read(read_json(request), request.caller.user_id, key))
    payment = charged.payment
    headers = {"Location": f"/api/payments/{payment.pk}"}
    if charged.replayed:
        headers["Idempotent-Replayed"] = "true"
    return JsonResponse(payment_json(payment), status=_status(payment), headers=headers)


def _read(body: Body, caller: int, key: str) -> Charge:
    user_id = body.integer_or_none("userId")
    currency = _currency(body)
    amount = _amount(body, currency)
    method = payment_method(body)
    capture = body.boolean("capture", default=True)
    description = body.text("description", max_length=500, min_length=0, default="")
    body.done()
    if user_id is not None and user_id != caller:
        raise Problem(403, "forbidden", "Forbidden", "userId must be the caller's own.")
    return Charge(caller, amount, currency, method, capture, description, key)


def _currency(body: Body) -> Currency:
    code = body.text("currency", max_length=3, min_length=3)
    currency = Currency.objects.filter(code=code, is_active=True).first()
    if currency is None:
        if not any(error["field"] == "currency" for error in body.errors):
            body.fail("currency", "is not a currency that can be charged, such as USD")
        # Never charged: `done` answers first. Three decimals let the amount's form be judged meanwhile.
        return Currency(code=code, decimals=3)
    return currency


def _amount(body: Body, currency: Currency) -> Decimal:
    raw = body.raw("amount")
    try:
        return parse_amount(raw, currency.decimals)
    except BadAmount as error:
        body.fail("amount", "is required" if raw is None else str(error))
        return Decimal(0)


def _status(payment: Payment) -> int:
    if payment.status == PaymentStatus.PENDING:
        return 202
    return 402 if payment.status == PaymentStatus.FAILED else 201
