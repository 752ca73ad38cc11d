"""Paths below /api/payments/."""

from django.urls import path

from common.views import by_method

from .views.charge import charge
from .views.methods import add_method, list_methods
from .views.payments import get_payment, list_payments

urlpatterns = [
    path("", by_method(GET=list_payments)),
    path("charge", by_method(POST=charge)),
    path("methods", by_method(GET=list_methods, POST=add_method)),
    path("<int:payment_id>", by_method(GET=get_payment)),
]
