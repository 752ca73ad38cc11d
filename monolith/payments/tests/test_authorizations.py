"""Capturing and canceling reserved money."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from payments import stripe_gateway
from payments.models import Payment, PaymentAttempt
from payments.tasks import reconcile_pending_payments
from testing.api import Api, sign_up
from testing.outbox import events

CAPTURE = "/v1/payment_intents/[^/]+/capture"
CANCEL = "/v1/payment_intents/[^/]+/cancel"


@pytest.fixture
def api(stripe):
    return sign_up()


@pytest.fixture
def reserved(api):
    return api.charge(capture=False).json()["id"]


@pytest.fixture
def waiting(api):
    """A payment whose cardholder has to confirm it."""
    card = {"number": "4000002500003155", "exp_month": 12, "exp_year": 2030, "cvc": "123"}
    method = stripe_gateway._client().v1.payment_methods.create({"type": "card", "card": card})
    return api.charge(paymentMethodId=method.id).json()["id"]


def capture(api, payment_id, **body):
    return api.post(f"/api/payments/{payment_id}/capture", body)


def cancel(api, payment_id):
    return api.post(f"/api/payments/{payment_id}/cancel", {})


def status_at_stripe(payment_id):
    payment = Payment.objects.get(pk=payment_id)
    return stripe_gateway._client().v1.payment_intents.retrieve(payment.stripe_payment_intent_id).status


def age():
    PaymentAttempt.objects.update(started_at=timezone.now() - timedelta(minutes=5))


def test_all_of_it(api, reserved):
    answer = capture(api, reserved)
    assert answer.status_code == 200, answer.content
    assert (answer.json()["status"], answer.json()["amount"]) == ("completed", "10.00")
    assert answer.json()["completedAt"]
    assert status_at_stripe(reserved) == "succeeded"
    (event,) = events("payment.completed")
    assert (event.data["paymentId"], event.data["amountMinor"]) == (reserved, 1000)


def test_a_part_releases_the_rest(api, reserved):
    answer = capture(api, reserved, amount="7.50")
    assert (answer.status_code, answer.json()["amount"]) == (200, "7.50")
    assert answer.json()["amountRefunded"] == "0.00"
    assert events("payment.completed")[0].data["amountMinor"] == 750
    # What was released cannot be refunded.
    too_much = api.post(f"/api/payments/{reserved}/refunds", {"amount": "8"}, **{"Idempotency-Key": "k"})
    assert too_much.status_code == 422


def test_again_with_the_same_amount_is_the_same_payment(api, reserved):
    first = capture(api, reserved, amount="7.50")
    assert capture(api, reserved, amount="7.5").json() == first.json()
    for body in ({}, {"amount": "7"}):
        answer = capture(api, reserved, **body)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:banyan:problem:invalid-state")
    assert len(events("payment.completed")) == 1


def test_no_body_is_an_empty_one(api, reserved):
    answer = api.send("POST", f"/api/payments/{reserved}/capture", "")
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert api.send("POST", f"/api/payments/{reserved}/capture", "[").status_code == 400


@pytest.mark.parametrize("amount", ["10.01", "0", "-1", "1.001", "much", False])
def test_names_an_amount_that_is_wrong(api, reserved, amount):
    answer = capture(api, reserved, amount=amount)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "amount"
    assert Payment.objects.get(pk=reserved).status == "requires_capture"


def test_only_one_s_own(api, reserved):
    other = sign_up("grace@example.com")
    for act in (capture, cancel):
        assert act(other, reserved).status_code == 404
        assert act(api, reserved + 1000).status_code == 404
        assert act(Api(), reserved).status_code == 401
    assert status_at_stripe(reserved) == "requires_capture"


def test_only_what_is_reserved(api, waiting):
    failed = api.charge(paymentMethodId="pm_card_chargeDeclined").json()["id"]
    completed = api.charge().json()["id"]
    for payment_id in (failed, completed, waiting):
        answer = capture(api, payment_id)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:banyan:problem:invalid-state")
    for payment_id in (failed, completed):
        assert cancel(api, payment_id).status_code == 409


def test_cancel(api, reserved, waiting):
    for payment_id in (reserved, waiting):
        answer = cancel(api, payment_id)
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
        assert cancel(api, payment_id).json() == answer.json()
        assert status_at_stripe(payment_id) == "canceled"
        assert capture(api, payment_id).status_code == 409
    assert [event.type for event in events()] == ["user.signup"]


def test_of_capture_and_cancel_at_once_one_wins(api, reserved):
    def attempt(act):
        try:
            return act(Api(api.token), reserved).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(attempt, [capture, cancel]))
    assert codes == [200, 409]
    payment = Payment.objects.get(pk=reserved)
    assert (payment.status, status_at_stripe(reserved)) in [("completed", "succeeded"), ("canceled", "canceled")]


@pytest.mark.parametrize("fault", ["lose", "error", "refuse"])
def test_a_capture_whose_answer_got_lost_is_found_out(api, reserved, stripe, fault):
    stripe.breaks(CAPTURE, fault)
    answer = capture(api, reserved, amount="6")
    assert (answer.status_code, answer.json()["status"]) == (202, "requires_capture")
    # Until then nothing else can happen to it.
    assert capture(api, reserved, amount="7").status_code == 409
    assert cancel(api, reserved).status_code == 409
    stripe.fault = None
    age()
    reconcile_pending_payments()
    reconcile_pending_payments()
    payment = api.get(f"/api/payments/{reserved}").json()
    assert (payment["status"], payment["amount"]) == ("completed", "6.00")
    assert set(stripe.keys) == {f"capture:{reserved}"}
    assert len(events("payment.completed")) == 1


@pytest.mark.parametrize("fault", ["lose", "refuse"])
def test_the_client_may_ask_again_itself(api, reserved, stripe, fault):
    stripe.breaks(CAPTURE, fault)
    capture(api, reserved)
    stripe.fault = None
    answer = capture(api, reserved)
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


@pytest.mark.parametrize("fault", ["lose", "refuse"])
def test_a_cancellation_whose_answer_got_lost_is_found_out(api, reserved, stripe, fault):
    stripe.breaks(CANCEL, fault)
    answer = cancel(api, reserved)
    assert (answer.status_code, answer.json()["status"]) == (202, "requires_capture")
    assert capture(api, reserved).status_code == 409
    stripe.fault = None
    age()
    reconcile_pending_payments()
    assert api.get(f"/api/payments/{reserved}").json()["status"] == "canceled"
    assert set(stripe.keys) == {f"cancel:{reserved}"}


def test_what_was_captured_at_stripe_is_not_canceled(api, reserved):
    payment = Payment.objects.get(pk=reserved)
    stripe_gateway._client().v1.payment_intents.capture(payment.stripe_payment_intent_id)
    assert cancel(api, reserved).status_code == 409
    assert api.get(f"/api/payments/{reserved}").json()["status"] == "completed"
