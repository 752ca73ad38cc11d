"""Disputes. localstripe has none, so the events' own copies count here; see `services/stripe_events.py`."""

import json
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from payments import stripe_gateway
from payments.models import Dispute, LedgerAccount, Payment
from testing.api import sign_up
from testing.outbox import events

from .test_webhooks import intent_of, send

DUE = 1_900_000_000


@pytest.fixture
def api(stripe):
    return sign_up()


@pytest.fixture
def paid(api):
    return api.charge(description="Coffee").json()["id"]


def tell(payment_id, kind, status, *, later=0, amount=1000, dispute_id="dp_1"):
    found = {
        "id": dispute_id,
        "object": "dispute",
        "payment_intent": intent_of(payment_id),
        "amount": amount,
        "currency": "usd",
        "reason": "fraudulent",
        "status": status,
        "evidence_details": {"due_by": DUE},
    }
    event = {
        "id": f"evt_{dispute_id}_{kind}_{status}_{later}",
        "type": f"charge.dispute.{kind}",
        "created": int(time.time()) + later,
        "data": {"object": found},
    }
    answer = send("", {}, body=json.dumps(event))
    assert answer.status_code == 200, answer.content
    return Dispute.objects.get(stripe_dispute_id=dispute_id)


def status(api, payment_id):
    return api.get(f"/api/payments/{payment_id}").json()["status"]


def balance(api):
    (found,) = api.get("/api/payments/balance").json()["balances"]
    return found["disputed"], found["net"]


def account(kind):
    return LedgerAccount.objects.get(kind=kind, currency="USD").balance


def test_opening_takes_the_money_away(api, paid):
    dispute = tell(paid, "created", "needs_response")
    assert status(api, paid) == "disputed"
    assert balance(api) == ("10.00", "0.00")
    assert (account("disputes"), account("stripe")) == (Decimal(10), Decimal("-0.59"))
    (event,) = events("payment.disputed")
    assert event.subject == f"payment/{paid}"
    assert event.data == {
        "paymentId": paid,
        "disputeId": dispute.pk,
        "userId": api.user["id"],
        "amountMinor": 1000,
        "currency": "USD",
        "reason": "fraudulent",
        "dueBy": datetime.fromtimestamp(DUE, UTC).isoformat().replace("+00:00", "Z"),
    }


def test_evidence_is_collected(api, paid):
    api.post(f"/api/payments/{paid}/refunds", {"amount": "1"}, **{"Idempotency-Key": "k"})
    dispute = tell(paid, "created", "needs_response", amount=900)
    evidence = dict(dispute.evidence.values_list("kind", "content"))
    assert evidence["product_description"] == "Coffee"
    assert evidence["receipt"].startswith(f"Payment {paid} of 10.00 USD\n")
    assert evidence["refund_history"].startswith("1.00 USD on ")


def test_winning_brings_it_back(api, paid):
    tell(paid, "created", "needs_response")
    tell(paid, "updated", "under_review", later=1)
    dispute = tell(paid, "closed", "won", later=2)
    assert dispute.closed_at
    assert status(api, paid) == "completed"
    assert balance(api) == ("0.00", "10.00")
    assert (account("disputes"), account("customer")) == (0, -10)


def test_losing_is_for_good(api, paid):
    tell(paid, "created", "needs_response")
    tell(paid, "closed", "lost", later=1)
    assert status(api, paid) == "disputed"
    assert balance(api) == ("10.00", "0.00")
    assert (account("disputes"), account("customer")) == (0, 0)
    answer = api.post(f"/api/payments/{paid}/refunds", {}, **{"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:banyan:problem:invalid-state")


@pytest.mark.parametrize(
    ("end", "shown", "kept"), [("won", "completed", ("0.00", "10.00")), ("lost", "disputed", ("10.00", "0.00"))]
)
def test_out_of_order(api, paid, end, shown, kept):
    tell(paid, "closed", end, later=2)
    tell(paid, "created", "needs_response")
    tell(paid, "updated", "under_review", later=1)
    assert Dispute.objects.get().status == end
    assert status(api, paid) == shown
    assert balance(api) == kept
    assert not LedgerAccount.objects.filter(kind="disputes").exclude(balance=0).exists()
    assert len(events("payment.disputed")) == 1


def test_a_dispute_can_be_faster_than_the_payment(api, stripe):
    stripe.fault = "lose"
    payment_id = api.charge().json()["id"]
    stripe.fault = None
    payment = Payment.objects.select_related("customer").get(pk=payment_id)
    outcome = stripe_gateway.find_intent(payment_id, payment.customer.stripe_customer_id, payment.created_at)
    found = {"id": "dp_1", "payment_intent": outcome.intent_id, "amount": 1000, "status": "needs_response"}
    assert send("charge.dispute.created", found).status_code == 200
    assert status(api, payment_id) == "disputed"
    assert [event.type for event in events()[1:]] == ["payment.completed", "payment.disputed"]


def test_older_news_change_nothing(paid):
    tell(paid, "updated", "under_review", later=5)
    tell(paid, "created", "needs_response")
    assert Dispute.objects.get().status == "under_review"


def test_an_inquiry_moves_no_money(api, paid):
    tell(paid, "created", "warning_needs_response")
    assert (status(api, paid), balance(api)) == ("disputed", ("0.00", "10.00"))
    tell(paid, "closed", "warning_closed", later=1)
    assert (status(api, paid), balance(api)) == ("completed", ("0.00", "10.00"))


def test_a_payment_is_disputed_while_one_dispute_is_open(api, paid):
    tell(paid, "created", "needs_response", amount=400)
    tell(paid, "created", "needs_response", amount=600, dispute_id="dp_2")
    tell(paid, "closed", "won", later=1, amount=400)
    assert status(api, paid) == "disputed"
    tell(paid, "closed", "won", later=1, amount=600, dispute_id="dp_2")
    assert status(api, paid) == "completed"


def test_a_partly_refunded_payment_is_so_again(api, paid):
    api.post(f"/api/payments/{paid}/refunds", {"amount": "1"}, **{"Idempotency-Key": "k"})
    tell(paid, "created", "needs_response", amount=900)
    tell(paid, "closed", "won", later=1, amount=900)
    assert status(api, paid) == "partially_refunded"
    assert Payment.objects.get().payout_due


def test_an_unknown_state_is_ignored(paid):
    found = {"id": "dp_1", "payment_intent": intent_of(paid), "amount": 5, "status": "brand_new"}
    assert send("charge.dispute.created", found).status_code == 200
    assert not Dispute.objects.exists()
