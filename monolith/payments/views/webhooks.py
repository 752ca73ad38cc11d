"""POST /api/payments/webhooks/stripe"""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse

from payments.services.webhooks import receive


def stripe_webhook(request: HttpRequest) -> JsonResponse:
    """An event from Stripe, authenticated by its signature."""
    receive(request.body, request.headers.get("Stripe-Signature", ""))
    return JsonResponse({"received": True})
