"""Users whose payments the service serves by now: nothing begins here, and the gateway is told where to go on."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from payments.models import Customer, Payment, PaymentAttempt, PaymentMethod, Refund, Subscription
from payments.tasks import reconcile_pending_payments
from testing.api import sign_up

CHARGE = {"amount": "10.00", "currency": "USD", "paymentMethodId": "pm_card_visa"}
READS = ["", "{paid}", "{paid}/refunds", "methods", "invoices", "balance"]
WRITES = [
    ("POST", "charge", CHARGE),
    ("POST", "{reserved}/capture", {}),
    ("POST", "{reserved}/cancel", {}),
    ("POST", "{paid}/refunds", {}),
    ("POST", "methods", {"stripePaymentMethodId": "pm_card_chargeDeclined"}),
    ("DELETE", "methods/{card}", None),
    ("POST", "subscriptions", {"planId": 3, "paymentMethodId": 0}),
    ("DELETE", "subscriptions/{subscription}", None),
]


@pytest.fixture
def api(stripe):
    return sign_up()


@pytest.fixture
def rows(api):
    """Something of every kind, while the user is ours."""
    card = api.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_visa"}).json()["id"]
    subscription = api.post(
        "/api/payments/subscriptions", {"planId": 1, "paymentMethodId": card}, **{"Idempotency-Key": "subscribed"}
    )
    return {
        "card": card,
        "paid": api.charge().json()["id"],
        "reserved": api.charge(capture=False).json()["id"],
        "subscription": subscription.json()["id"],
    }


def everything():
    """All that a request could begin."""
    return [
        list(model.objects.order_by("pk").values())
        for model in (Customer, Payment, PaymentAttempt, PaymentMethod, Refund, Subscription)
    ]


def give_away():
    with connection.cursor() as cursor:
        cursor.execute("SELECT ownership_decide('payments', 1, 10000, '{}', '{}')")


def ask(api, rows, method, path, body=None):
    if body is not None and "planId" in body:
        body = body | {"paymentMethodId": rows["card"]}
    return api.send(method, f"/api/payments/{path.format(**rows)}", body, **{"Idempotency-Key": str(uuid.uuid4())})


def assert_handed_over(answer):
    assert answer.status_code == 421, answer.content
    assert answer["X-Accel-Redirect"] == "@new_payments"


def test_each_operation_is_handed_over(api, rows):
    give_away()
    before = everything()
    for path in READS:
        assert_handed_over(ask(api, rows, "GET", path))
    for method, path, body in WRITES:
        assert_handed_over(ask(api, rows, method, path, body))
    assert everything() == before


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=[f"{method} {path}" for method, path, _ in WRITES])
def test_nothing_begins_for_who_moves_just_after_the_view_has_asked(api, rows, monkeypatch, method, path, body):
    def ours_then_given_away(*_):
        if not given_away:
            given_away.append(True)
            give_away()

    given_away = []
    before = everything()
    monkeypatch.setattr("banyan.ownership.await_ours", ours_then_given_away)
    assert_handed_over(ask(api, rows, method, path, body))
    assert given_away
    assert everything() == before


def test_a_first_customer_is_not_kept_for_who_moves_meanwhile(api, monkeypatch):
    monkeypatch.setattr("banyan.ownership.await_ours", lambda *_: give_away())
    answer = api.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_visa"})
    assert_handed_over(answer)
    assert not Customer.objects.exists()


def test_who_is_nobody_is_not_handed_over(api, rows):
    give_away()
    api.token = None
    assert ask(api, rows, "GET", "").status_code == 401


def test_the_service_reads_what_has_not_come_over_to_it(api, rows):
    give_away()
    answer = api.send("GET", f"/api/payments/{rows['paid']}", **{"X-Migration-Fallback": "1"})
    assert (answer.status_code, answer.json()["id"]) == (200, rows["paid"])


def test_what_has_begun_here_is_finished_here(api, rows, stripe):
    stripe.fault = "lose"
    pending = api.charge().json()["id"]
    give_away()
    stripe.fault = None
    Payment.objects.filter(pk=pending).update(created_at=timezone.now() - timedelta(minutes=5))
    PaymentAttempt.objects.filter(payment=pending).update(started_at=timezone.now() - timedelta(minutes=5))
    reconcile_pending_payments()
    assert Payment.objects.get(pk=pending).status == "completed"
