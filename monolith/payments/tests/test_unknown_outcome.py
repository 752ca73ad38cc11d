"""A lost answer is not a failure: the payment stays pending until Stripe was asked again."""

from datetime import timedelta

import pytest
from django.utils import timezone

from payments import stripe_gateway
from payments.models import Payment, PaymentAttempt
from payments.services.reconcile import GIVE_UP_AFTER, REPLAY_WINDOW, due_payments, reconcile
from payments.tasks import reconcile_pending_payments
from testing.api import sign_up
from testing.outbox import events


@pytest.fixture
def api(stripe):
    api = sign_up()
    api.charge()  # the customer and the card are known from here on
    stripe.reset()
    return api


def age(payment_id, by):
    Payment.objects.filter(pk=payment_id).update(created_at=timezone.now() - by)
    PaymentAttempt.objects.filter(payment_id=payment_id).update(started_at=timezone.now() - by)


@pytest.mark.parametrize("fault", ["lose", "error", "refuse"])
def test_stays_pending_and_the_client_is_told(api, stripe, fault):
    stripe.fault = fault
    answer = api.charge(key="k")
    assert answer.status_code == 202
    assert answer.json()["status"] == "pending"
    assert len(events("payment.completed")) == 1  # the first one's
    assert events("payment.failed") == []
    again = api.charge(key="k")
    assert (again.status_code, again["Idempotent-Replayed"]) == (202, "true")
    assert len(stripe.charges) == 1


@pytest.mark.parametrize("fault", ["lose", "error"])
def test_a_charge_that_happened_is_found_and_not_repeated(api, stripe, fault):
    stripe.fault = fault
    payment_id = api.charge(key="k").json()["id"]
    stripe.fault = None
    age(payment_id, timedelta(minutes=5))
    reconcile_pending_payments()
    assert len(stripe.charges) == 1
    answer = api.charge(key="k")
    assert (answer.status_code, answer.json()["status"]) == (201, "completed")
    completed = [event for event in events("payment.completed") if event.data["paymentId"] == payment_id]
    assert len(completed) == 1
    reconcile_pending_payments()
    assert len(events("payment.completed")) == 2


def test_a_decline_whose_answer_got_lost_is_found(api, stripe):
    api.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_chargeDeclined"})
    stripe.fault = "lose"
    payment_id = api.charge(paymentMethodId="pm_card_chargeDeclined").json()["id"]
    stripe.fault = None
    age(payment_id, timedelta(minutes=5))
    reconcile_pending_payments()
    assert Payment.objects.get(pk=payment_id).status == "failed"
    assert len(events("payment.failed")) == 1


def test_a_charge_that_never_arrived_is_asked_for_again_under_the_same_key(api, stripe):
    stripe.fault = "refuse"
    payment_id = api.charge(key="k").json()["id"]
    stripe.fault = None
    age(payment_id, timedelta(minutes=5))
    reconcile_pending_payments()
    assert len(stripe.charges) == 2
    assert stripe.charges[0] == stripe.charges[1]
    payment = Payment.objects.get(pk=payment_id)
    assert payment.status == "completed"
    assert list(payment.attempts.order_by("number").values_list("number", "status")) == [
        (1, "unknown"),
        (2, "succeeded"),
    ]


def test_after_a_day_stripe_is_only_asked_what_it_has(api, stripe):
    stripe.fault = "refuse"
    payment_id = api.charge().json()["id"]
    stripe.fault = None
    age(payment_id, REPLAY_WINDOW + timedelta(minutes=1))
    assert reconcile(payment_id) is None
    assert len(stripe.charges) == 1
    age(payment_id, GIVE_UP_AFTER + timedelta(minutes=1))
    settled = reconcile(payment_id)
    assert (settled.status, settled.failure_code) == ("failed", "not_processed")
    assert len(stripe.charges) == 1


def test_a_young_payment_is_left_to_its_request(api, stripe):
    stripe.fault = "lose"
    payment_id = api.charge().json()["id"]
    assert payment_id not in due_payments()
    age(payment_id, timedelta(minutes=5))
    assert due_payments() == [payment_id]


def test_nothing_is_settled_while_stripe_is_away(api, stripe, settings):
    stripe.fault = "lose"
    payment_id = api.charge().json()["id"]
    age(payment_id, timedelta(minutes=5))
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    stripe_gateway._client.cache_clear()
    try:
        reconcile_pending_payments()
        new_card = api.charge(paymentMethodId="pm_card_visa_chargeDeclined")
    finally:
        settings.STRIPE_API_BASE = f"http://127.0.0.1:{settings.TEST_STRIPE_PORT}"
        stripe_gateway._client.cache_clear()
    assert Payment.objects.get(pk=payment_id).status == "pending"
    assert new_card.status_code == 503
    assert new_card["Retry-After"]


def test_stripe_is_never_called_inside_a_transaction(api, stripe):
    from django.db import transaction

    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        stripe_gateway.create_customer(api.user["id"])
