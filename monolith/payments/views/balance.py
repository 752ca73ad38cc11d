"""GET /api/payments/balance"""

from __future__ import annotations

from django.http import JsonResponse

from payments.serializers import balance_json
from payments.services.balance import balances
from users.auth import AuthenticatedRequest

from .served_here import served_here


@served_here
def get_balance(request: AuthenticatedRequest) -> JsonResponse:
    """What the caller has paid, by currency."""
    return JsonResponse({"balances": [balance_json(balance) for balance in balances(request.caller.user_id)]})
