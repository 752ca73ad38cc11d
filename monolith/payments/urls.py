"""Paths below /api/payments/."""

from django.urls import path

from common.views import by_method

from .views.authorizations import cancel, capture
from .views.balance import get_balance
from .views.charge import charge
from .views.invoices import list_invoices
from .views.methods import add_method, delete_method, list_methods
from .views.payments import get_payment, list_payments
from .views.refunds import create_refund, list_refunds
from .views.subscriptions import create_subscription, delete_subscription
from .views.webhooks import stripe_webhook

urlpatterns = [
    path("", by_method(GET=list_payments)),
    path("charge", by_method(POST=charge)),
    path("methods", by_method(GET=list_methods, POST=add_method)),
    path("methods/<int:method_id>", by_method(DELETE=delete_method)),
    path("subscriptions", by_method(POST=create_subscription)),
    path("subscriptions/<int:subscription_id>", by_method(DELETE=delete_subscription)),
    path("invoices", by_method(GET=list_invoices)),
    path("balance", by_method(GET=get_balance)),
    path("webhooks/stripe", by_method(POST=stripe_webhook)),
    path("<int:payment_id>", by_method(GET=get_payment)),
    path("<int:payment_id>/capture", by_method(POST=capture)),
    path("<int:payment_id>/cancel", by_method(POST=cancel)),
    path("<int:payment_id>/refunds", by_method(GET=list_refunds, POST=create_refund)),
]
