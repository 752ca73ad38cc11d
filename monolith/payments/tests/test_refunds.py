"""Giving money back."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from payments import stripe_gateway
from payments.models import Payment, Refund
from payments.services.reconcile import due_refunds
from payments.tasks import reconcile_pending_payments
from testing.api import Api, sign_up
from testing.outbox import events


@pytest.fixture
def api(stripe):
    return sign_up()


@pytest.fixture
def paid(api):
    return api.charge().json()["id"]


def refund(api, payment_id, *, key=None, **body):
    return api.post(f"/api/payments/{payment_id}/refunds", body, **{"Idempotency-Key": key or str(uuid.uuid4())})


def at_stripe(payment_id):
    intent_id = Payment.objects.get(pk=payment_id).stripe_payment_intent_id
    return stripe_gateway.refunds_of(intent_id)


def test_all_of_it(api, paid):
    answer = refund(api, paid, reason="duplicate")
    assert answer.status_code == 201, answer.content
    body = answer.json()
    row = Refund.objects.get()
    assert body["stripeRefundId"].startswith("re_")
    assert body["createdAt"] <= body["completedAt"]
    assert {name: body[name] for name in ("id", "paymentId", "amount", "currency", "status", "reason")} == {
        "id": row.pk,
        "paymentId": paid,
        "amount": "10.00",
        "currency": "USD",
        "status": "succeeded",
        "reason": "duplicate",
    }
    assert body["failureCode"] is None
    payment = api.get(f"/api/payments/{paid}").json()
    assert (payment["status"], payment["amountRefunded"]) == ("refunded", "10.00")
    ((stripe_id, found),) = at_stripe(paid)
    assert (stripe_id, found.amount_minor) == (body["stripeRefundId"], 1000)


def test_in_parts_until_nothing_is_left(api, paid):
    assert refund(api, paid, amount="4").json()["amount"] == "4.00"
    assert api.get(f"/api/payments/{paid}").json()["status"] == "partially_refunded"
    assert refund(api, paid).json()["amount"] == "6.00"
    assert api.get(f"/api/payments/{paid}").json()["status"] == "refunded"
    answer = refund(api, paid, amount="0.01")
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:banyan:problem:invalid-state"
    changes = Payment.objects.get(pk=paid).status_changes.order_by("id").values_list("to_status", flat=True)
    assert list(changes) == ["pending", "completed", "partially_refunded", "refunded"]


def test_is_published_and_mailed_about(api, paid):
    body = refund(api, paid, amount="2.50").json()
    (event,) = events("payment.refunded")
    assert event.subject == f"payment/{paid}"
    assert event.data == {
        "paymentId": paid,
        "refundId": body["id"],
        "userId": api.user["id"],
        "amountMinor": 250,
        "currency": "USD",
        "refundedAt": body["completedAt"],
    }
    assert event.headers["effectowner"] == "legacy"


@pytest.mark.parametrize(("currency", "amount", "shown"), [("JPY", "5", "5"), ("KWD", "0.125", "0.125")])
def test_money_has_the_decimals_of_its_currency(api, currency, amount, shown):
    paid = api.charge(currency=currency, amount="10").json()["id"]
    assert refund(api, paid, amount=amount).json()["amount"] == shown


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": "10.01"}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "1.001"}, "amount"),
        ({"amount": True}, "amount"),
        ({"reason": "because"}, "reason"),
        ({"reason": 5}, "reason"),
    ],
)
def test_names_the_field_that_is_wrong(api, paid, body, field):
    answer = refund(api, paid, **body)
    assert answer.status_code == 422, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Refund.objects.exists()


def test_only_of_one_s_own_payments(api, paid):
    other = sign_up("grace@example.com")
    assert refund(other, paid).status_code == 404
    assert refund(api, paid + 1000).status_code == 404
    assert refund(Api(), paid).status_code == 401
    assert other.get(f"/api/payments/{paid}/refunds").status_code == 404
    assert not Refund.objects.exists()


def test_a_key_is_needed(api, paid):
    answer = api.post(f"/api/payments/{paid}/refunds", {})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:banyan:problem:idempotency-key-missing"


def test_what_was_not_paid_is_not_given_back(api):
    reserved = api.charge(capture=False).json()["id"]
    failed = api.charge(paymentMethodId="pm_card_chargeDeclined").json()["id"]
    for payment_id in (reserved, failed):
        assert refund(api, payment_id).status_code == 409


def test_the_list_is_newest_first(api, paid):
    ids = [refund(api, paid, amount="1").json()["id"] for _ in range(3)]
    first = api.get(f"/api/payments/{paid}/refunds?limit=2").json()
    assert [item["id"] for item in first["items"]] == ids[:0:-1]
    rest = api.get(f"/api/payments/{paid}/refunds?limit=2&cursor={first['nextCursor']}").json()
    assert ([item["id"] for item in rest["items"]], rest["nextCursor"]) == ([ids[0]], None)


def test_the_same_request_again_is_answered_with_the_same_refund(api, paid):
    first, again = refund(api, paid, key="k", amount="3"), refund(api, paid, key="k", amount="3.00")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert len(at_stripe(paid)) == 1
    other = refund(api, paid, key="k", amount="4")
    assert (other.status_code, other.json()["type"]) == (422, "urn:banyan:problem:idempotency-key-reused")


def test_a_replay_after_all_was_refunded(api, paid):
    first = refund(api, paid, key="k")
    again = refund(api, paid, key="k")
    assert (again.status_code, again.json()) == (201, first.json())


def test_keys_belong_to_their_payment(api, paid):
    other = api.charge().json()["id"]
    assert refund(api, paid, key="k").json()["id"] != refund(api, other, key="k").json()["id"]


def test_of_two_that_exceed_the_payment_exactly_one_wins(api, paid):
    def attempt(token):
        try:
            return refund(Api(token), paid, amount="6.00").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(attempt, [api.token] * 2))
    assert codes == [201, 422]
    assert [found.amount_minor for _, found in at_stripe(paid)] == [600]
    assert api.get(f"/api/payments/{paid}").json()["amountRefunded"] == "6.00"


def test_a_burst_refunds_once(api, paid):
    def attempt(token):
        try:
            return refund(Api(token), paid, key="k", amount="1").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(attempt, [api.token] * 8))
    assert set(codes) <= {201, 409}
    assert 201 in codes
    assert len(at_stripe(paid)) == 1
    assert len(events("payment.refunded")) == 1


def age(by=timedelta(minutes=5)):
    Refund.objects.update(created_at=timezone.now() - by, started_at=timezone.now() - by)


@pytest.mark.parametrize("fault", ["lose", "error"])
def test_a_lost_answer_leaves_it_pending_until_stripe_was_asked(api, paid, stripe, fault):
    stripe.breaks("/v1/refunds", fault)
    answer = refund(api, paid, key="k", amount="6")
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    # It counts: only the rest can be given back.
    assert refund(api, paid, amount="5").status_code == 422
    assert events("payment.refunded") == []
    assert due_refunds() == []
    stripe.reset()
    age()
    reconcile_pending_payments()
    reconcile_pending_payments()
    again = refund(api, paid, key="k", amount="6")
    assert (again.status_code, again.json()["status"]) == (201, "succeeded")
    assert [found.amount_minor for _, found in at_stripe(paid)] == [600]
    assert len(events("payment.refunded")) == 1


def test_one_that_never_arrived_is_asked_for_again_under_the_same_key(api, paid, stripe):
    stripe.breaks("/v1/refunds", "refuse")
    assert refund(api, paid, key="k").status_code == 202
    stripe.fault = None
    age()
    reconcile_pending_payments()
    assert stripe.keys == [f"refund:{paid}:k"] * 2
    assert Refund.objects.get().status == "succeeded"
    assert len(at_stripe(paid)) == 1


def test_one_that_never_arrived_is_given_up_after_a_day(api, paid, stripe):
    stripe.breaks("/v1/refunds", "refuse")
    refund(api, paid)
    stripe.reset()
    age(timedelta(hours=26))
    reconcile_pending_payments()
    assert (Refund.objects.get().status, Refund.objects.get().failure_code) == ("failed", "not_processed")
    assert refund(api, paid).status_code == 201


def test_one_that_stripe_refuses_gives_the_amount_free_again(api, paid):
    Payment.objects.filter(pk=paid).update(stripe_payment_intent_id="pi_unknown")
    answer = refund(api, paid, key="k")
    assert answer.status_code == 402
    assert (answer.json()["status"], answer.json()["completedAt"]) == ("failed", None)
    assert answer.json()["failureCode"]
    assert refund(api, paid, key="k").status_code == 402
    payment = api.get(f"/api/payments/{paid}").json()
    assert (payment["status"], payment["amountRefunded"]) == ("completed", "0.00")
