"""GET /api/payments/invoices"""

from __future__ import annotations

from django.http import JsonResponse

from common.pages import page
from payments.models import Invoice
from payments.serializers import invoice_json
from users.auth import AuthenticatedRequest

from .served_here import served_here


@served_here
def list_invoices(request: AuthenticatedRequest) -> JsonResponse:
    """The caller's invoices, newest first."""
    rows = Invoice.objects.filter(user_id=request.caller.user_id).select_related("currency").prefetch_related("lines")
    return page(request, rows, invoice_json)
