"""One charge per Idempotency-Key, whatever the client does."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from payments import stripe_gateway
from payments.models import Payment, PaymentAttempt
from testing.api import Api, sign_up
from testing.outbox import events


@pytest.fixture
def api(stripe):
    return sign_up()


def test_the_same_request_again_is_answered_with_the_same_payment(api, stripe):
    first, again = api.charge(key="k"), api.charge(key="k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert len(stripe.charges) == 1
    assert len(events("payment.completed")) == 1


def test_equal_amounts_are_the_same_request(api):
    assert api.charge(key="k", amount="10").status_code == 201
    assert api.charge(key="k", amount=10)["Idempotent-Replayed"] == "true"


def test_a_decline_is_replayed_too(api, stripe):
    first = api.charge(key="k", paymentMethodId="pm_card_chargeDeclined")
    again = api.charge(key="k", paymentMethodId="pm_card_chargeDeclined")
    assert (first.status_code, again.status_code) == (402, 402)
    assert first.json() == again.json()
    assert len(stripe.charges) == 1
    assert len(events("payment.failed")) == 1


@pytest.mark.parametrize("change", [{"amount": "11.00"}, {"currency": "EUR"}, {"capture": False}, {"description": "x"}])
def test_another_request_under_the_same_key_is_refused(api, stripe, change):
    api.charge(key="k")
    answer = api.charge(key="k", **change)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:banyan:problem:idempotency-key-reused"
    assert len(stripe.charges) == 1


def test_keys_belong_to_their_user(api):
    other = sign_up("grace@example.com")
    assert api.charge(key="k").json()["id"] != other.charge(key="k").json()["id"]


def test_the_second_of_two_at_once_is_told_to_wait(api, stripe):
    api.charge()  # the customer and the card are known from here on
    stripe.reset()
    stripe.hold = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(_charge, api.token, "k")
        assert stripe.arrived.acquire(timeout=10)
        second = api.charge(key="k")
        stripe.hold.set()
        assert first.result(10).status_code == 201
    assert second.status_code == 409
    assert second["Retry-After"] == "1"
    assert second.json()["type"] == "urn:banyan:problem:idempotency-key-in-use"
    assert api.charge(key="k")["Idempotent-Replayed"] == "true"
    assert len(stripe.charges) == 1


def test_a_burst_charges_once(api, stripe, settings, request):
    # Nobody gives up on Stripe here, however busy the machine: that would answer 202.
    settings.STRIPE_TIMEOUT_SECONDS = 60
    stripe_gateway._client.cache_clear()
    request.addfinalizer(stripe_gateway._client.cache_clear)
    with ThreadPoolExecutor(50) as pool:
        answers = [answer.result(60) for answer in [pool.submit(_charge, api.token, "k") for _ in range(50)]]
    codes = [answer.status_code for answer in answers]
    assert set(codes) <= {201, 409}
    assert sum(code == 201 and "Idempotent-Replayed" not in a for code, a in zip(codes, answers, strict=True)) == 1
    assert len(stripe.charges) == 1
    assert Payment.objects.count() == 1
    assert len(events("payment.completed")) == 1


def test_a_request_whose_process_died_does_not_block_its_key(api, settings):
    api.charge(key="k")
    Payment.objects.update(status="pending", completed_at=None)
    started = timezone.now() - timedelta(seconds=settings.STRIPE_TIMEOUT_SECONDS + 60)
    PaymentAttempt.objects.update(status="started", finished_at=None, started_at=started)
    answer = api.charge(key="k")
    assert (answer.status_code, answer["Idempotent-Replayed"]) == (202, "true")


def _charge(token, key):
    try:
        return Api(token).charge(key=key)
    finally:
        connections.close_all()
