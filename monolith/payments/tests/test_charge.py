"""Charging: the ordinary ways it ends."""

import pytest

from payments import stripe_gateway
from payments.models import Payment, PaymentMethod
from testing.api import Api, sign_up
from testing.outbox import events


@pytest.fixture
def api(stripe):
    return sign_up()


def test_a_good_card_completes(api):
    answer = api.charge(description="Coffee")
    assert answer.status_code == 201
    body = answer.json()
    assert answer["Location"] == f"/api/payments/{body['id']}"
    assert body.pop("createdAt") <= body.pop("completedAt")
    assert body.pop("stripePaymentIntentId").startswith("pi_")
    assert body == {
        "id": Payment.objects.get().pk,
        "userId": api.user["id"],
        "amount": "10.00",
        "currency": "USD",
        "status": "completed",
        "paymentMethodId": PaymentMethod.objects.get().pk,
        "amountRefunded": "0.00",
        "failureCode": None,
        "failureMessage": None,
        "description": "Coffee",
    }


def test_the_completed_payment_is_published(api):
    body = api.charge().json()
    (event,) = events("payment.completed")
    assert event.subject == f"payment/{body['id']}"
    assert event.data == {
        "paymentId": body["id"],
        "userId": api.user["id"],
        "amountMinor": 1000,
        "currency": "USD",
        "paymentMethodId": body["paymentMethodId"],
        "stripePaymentIntentId": body["stripePaymentIntentId"],
        "completedAt": body["completedAt"],
    }


def test_the_history_is_kept(api, stripe):
    api.charge(key="k")
    payment = Payment.objects.get()
    assert list(payment.status_changes.order_by("id").values_list("from_status", "to_status", "reason")) == [
        ("", "pending", "charge"),
        ("pending", "completed", "charge"),
    ]
    attempt = payment.attempts.get()
    assert attempt.status == "succeeded"
    assert stripe.charges == [attempt.stripe_idempotency_key] == [f"charge:{api.user['id']}:k"]


@pytest.mark.parametrize(
    ("card", "has_intent"),
    [
        # Declined when charged, and declined when attached.
        ("pm_card_chargeDeclined", True),
        ("pm_card_visa_chargeDeclined", False),
    ],
)
def test_a_declined_card(api, card, has_intent):
    answer = api.charge(paymentMethodId=card, amount="1500", currency="JPY")
    assert answer.status_code == 402
    body = answer.json()
    assert (body["status"], body["failureCode"]) == ("failed", "card_declined")
    assert body["failureMessage"] == "Your card was declined."
    assert (body["stripePaymentIntentId"] is not None) is has_intent
    (event,) = events("payment.failed")
    failed_at = event.data.pop("failedAt")
    assert failed_at >= body["createdAt"]
    assert event.data == {
        "paymentId": body["id"],
        "userId": api.user["id"],
        "amountMinor": 1500,
        "currency": "JPY",
        "failureCode": "card_declined",
        "failureMessage": "Your card was declined.",
    }
    assert events("payment.completed") == []


@pytest.mark.parametrize(
    ("currency", "sent", "shown", "minor"),
    [
        ("USD", '"10.5"', "10.50", 1050),
        ("USD", "10.10", "10.10", 1010),
        ("JPY", "500", "500", 500),
        ("JPY", '"500"', "500", 500),
        ("KWD", "1.25", "1.250", 1250),
        ("KWD", '"0.001"', "0.001", 1),
    ],
)
def test_money_has_the_decimals_of_its_currency(api, currency, sent, shown, minor):
    answer = api.charge(f'{{"amount": {sent}, "currency": "{currency}", "paymentMethodId": "pm_card_visa"}}')
    assert answer.status_code == 201
    assert answer.json()["amount"] == shown
    assert events("payment.completed")[0].data["amountMinor"] == minor


def test_money_is_only_reserved_without_capture(api):
    answer = api.charge(capture=False)
    assert (answer.status_code, answer.json()["status"]) == (201, "requires_capture")
    assert answer.json()["completedAt"] is None
    assert events("payment.completed") == []


def test_a_card_that_asks_for_its_holder_waits_for_them(api):
    card = {"number": "4000002500003155", "exp_month": 12, "exp_year": 2030, "cvc": "123"}
    method = stripe_gateway._client().v1.payment_methods.create({"type": "card", "card": card})
    answer = api.charge(paymentMethodId=method.id)
    assert (answer.status_code, answer.json()["status"]) == (201, "requires_action")
    assert [event.type for event in events()] == ["user.signup"]


def test_the_same_card_by_name_is_attached_once(api):
    first, second = api.charge().json(), api.charge().json()
    assert first["paymentMethodId"] == second["paymentMethodId"]
    assert first["stripePaymentIntentId"] != second["stripePaymentIntentId"]
    assert api.charge(paymentMethodId=first["paymentMethodId"]).status_code == 201


def test_a_failure_while_settling_takes_the_event_back(api, monkeypatch, stripe):
    def fail(*_, **__):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("payments.models.Payment.save", fail_after_create(fail))
    answer = api.charge()
    assert answer.status_code == 500
    # Stripe has charged: the payment must not look as if it had not.
    assert Payment.objects.get().status == "pending"
    assert events("payment.completed") == []


def fail_after_create(fail):
    real = Payment.save

    def save(self, *args, **kwargs):
        return real(self, *args, **kwargs) if self._state.adding else fail()

    return save


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"amount": "10.001"}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"amount": "-5"}, "amount"),
        ({"amount": "ten"}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": "1000000000000"}, "amount"),
        ({"amount": "1.5", "currency": "JPY"}, "amount"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": "usd"}, "currency"),
        ({"currency": 5}, "currency"),
        ({"currency": "US\u0000"}, "currency"),
        ({"paymentMethodId": None}, "paymentMethodId"),
        ({"paymentMethodId": True}, "paymentMethodId"),
        ({"paymentMethodId": "1"}, "paymentMethodId"),
        ({"paymentMethodId": 10**30}, "paymentMethodId"),
        ({"paymentMethodId": -1}, "paymentMethodId"),
        ({"paymentMethodId": "pm_nonsense"}, "paymentMethodId"),
        ({"capture": "yes"}, "capture"),
        ({"description": "x" * 501}, "description"),
        ({"description": "a\u0000"}, "description"),
        ({"userId": "me"}, "userId"),
    ],
)
def test_names_the_field_that_is_wrong(api, stripe, fields, field):
    answer = api.charge(**fields)
    assert answer.status_code == 422, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Payment.objects.exists()
    assert stripe.charges == []


def test_only_for_oneself(api, stripe):
    other = sign_up("grace@example.com")
    theirs = other.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_visa"}).json()["id"]
    assert api.charge(userId=api.user["id"]).status_code == 201
    assert api.charge(userId=other.user["id"]).status_code == 403
    assert api.charge(paymentMethodId=theirs).status_code == 422
    assert Api().charge().status_code == 401
    assert len(stripe.charges) == 1


@pytest.mark.parametrize("key", ["", "   ", "x" * 256, "a\tb", "ключ"])
def test_the_key_must_be_usable(api, key):
    answer = api.post("/api/payments/charge", {}, **{"Idempotency-Key": key})
    assert answer.status_code == 400
    assert answer.json()["type"].startswith("urn:banyan:problem:idempotency-key-")


def test_a_long_key_fits_at_stripe(api, stripe):
    assert api.charge(key="x" * 255).status_code == 201
    assert api.charge(key="x" * 254 + "y").status_code == 201
    assert len(set(stripe.charges)) == 2
    assert all(len(key) <= 255 for key in stripe.charges)
