"""Stripe's events: signed, once each, in any order."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe as stripe_library
from django.conf import settings
from django.db import connections

from payments import stripe_gateway
from payments.models import Payment, PaymentAttempt, Refund, StripeWebhookEvent
from testing.api import Api, sign_up
from testing.outbox import events

PATH = "/api/payments/webhooks/stripe"


@pytest.fixture
def api(stripe):
    return sign_up()


def send(type_, found, *, event_id=None, at=None, secret=None, body=None, **headers):
    """An event, signed by Stripe's own library."""
    event = {
        "id": event_id or f"evt_{uuid.uuid4().hex}",
        "object": "event",
        "type": type_,
        "created": int(time.time()),
        "data": {"object": found},
    }
    payload = json.dumps(event) if body is None else body
    signature = stripe_library.WebhookSignature.generate_signature_header(
        payload, secret or settings.STRIPE_WEBHOOK_SECRET, at
    )
    return Api().send("POST", PATH, payload, **{"Stripe-Signature": signature, **headers})


def intent_of(payment_id):
    return Payment.objects.get(pk=payment_id).stripe_payment_intent_id


def test_a_lost_charge_is_completed_by_its_event(api, stripe):
    stripe.fault = "lose"
    payment_id = api.charge().json()["id"]
    stripe.fault = None
    intent = stripe_gateway.find_intent(payment_id, *_customer(payment_id))
    answer = send("payment_intent.succeeded", {"id": intent.intent_id})
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    payment = api.get(f"/api/payments/{payment_id}").json()
    assert (payment["status"], payment["stripePaymentIntentId"]) == ("completed", intent.intent_id)
    assert len(events("payment.completed")) == 1
    row = StripeWebhookEvent.objects.get()
    assert (row.type, row.object_id, row.status) == ("payment_intent.succeeded", intent.intent_id, "processed")
    assert row.processed_at


def _customer(payment_id):
    payment = Payment.objects.select_related("customer").get(pk=payment_id)
    return payment.customer.stripe_customer_id, payment.created_at


def test_an_event_counts_once(api):
    payment_id = api.charge(capture=False).json()["id"]
    stripe_gateway._client().v1.payment_intents.capture(intent_of(payment_id))
    for _ in range(3):
        assert send("payment_intent.succeeded", {"id": intent_of(payment_id)}, event_id="evt_1").status_code == 200
    # The same news under another id changes nothing either.
    assert send("payment_intent.succeeded", {"id": intent_of(payment_id)}).status_code == 200
    assert StripeWebhookEvent.objects.count() == 2
    assert len(events("payment.completed")) == 1


def test_the_same_event_many_times_at_once(api):
    payment_id = api.charge(capture=False).json()["id"]
    stripe_gateway._client().v1.payment_intents.capture(intent_of(payment_id))

    def deliver(_):
        try:
            return send("payment_intent.succeeded", {"id": intent_of(payment_id)}, event_id="evt_1").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(deliver, range(6))) == {200}
    assert StripeWebhookEvent.objects.count() == 1
    assert len(events("payment.completed")) == 1


def test_what_is_said_late_is_not_believed(api):
    """The event says reserved, Stripe says captured: Stripe counts."""
    payment_id = api.charge(capture=False).json()["id"]
    intent_id = intent_of(payment_id)
    stripe_gateway._client().v1.payment_intents.capture(intent_id)
    send("payment_intent.succeeded", {"id": intent_id})
    for late in ("amount_capturable_updated", "payment_failed", "canceled", "requires_action"):
        assert send(f"payment_intent.{late}", {"id": intent_id, "status": late}).status_code == 200
    payment = api.get(f"/api/payments/{payment_id}").json()
    assert payment["status"] == "completed"
    assert Payment.objects.get().status_changes.count() == 3


def test_a_cancellation_at_stripe_is_taken_over(api):
    payment_id = api.charge(capture=False).json()["id"]
    stripe_gateway._client().v1.payment_intents.cancel(intent_of(payment_id))
    send("payment_intent.canceled", {"id": intent_of(payment_id)})
    assert api.get(f"/api/payments/{payment_id}").json()["status"] == "canceled"


@pytest.mark.parametrize(("success", "status"), [("true", "completed"), ("false", "failed")])
def test_the_cardholder_has_decided(api, success, status):
    card = {"number": "4000002500003155", "exp_month": 12, "exp_year": 2030, "cvc": "123"}
    method = stripe_gateway._client().v1.payment_methods.create({"type": "card", "card": card})
    payment_id = api.charge(paymentMethodId=method.id).json()["id"]
    intent = stripe_gateway._client().v1.payment_intents.retrieve(intent_of(payment_id))
    # localstripe's way to confirm; Stripe's own is its page in the browser.
    stripe_gateway._client().raw_request(
        "post", f"/v1/payment_intents/{intent.id}/_authenticate", client_secret=intent.client_secret, success=success
    )
    send("payment_intent.succeeded" if success == "true" else "payment_intent.payment_failed", {"id": intent.id})
    assert api.get(f"/api/payments/{payment_id}").json()["status"] == status
    assert [event.type for event in events()][-1] == f"payment.{status}"


def test_news_of_a_running_capture_do_not_end_it(api):
    payment_id = api.charge(capture=False).json()["id"]
    payment = Payment.objects.get()
    attempt = PaymentAttempt.objects.create(
        payment=payment, number=2, operation="capture", amount=5, started_at=payment.created_at
    )
    send("payment_intent.amount_capturable_updated", {"id": intent_of(payment_id)})
    attempt.refresh_from_db()
    assert attempt.status == "started"


def test_a_refund_made_in_the_dashboard_is_taken_over(api):
    payment_id = api.charge().json()["id"]
    made = stripe_gateway._client().v1.refunds.create({"payment_intent": intent_of(payment_id), "amount": 300})
    found = {"id": "ch_any", "payment_intent": intent_of(payment_id)}
    for type_, sent in (("charge.refunded", found), ("charge.refunded", found), ("refund.updated", {"id": made.id})):
        assert send(type_, sent).status_code == 200
    (shown,) = api.get(f"/api/payments/{payment_id}/refunds").json()["items"]
    assert (shown["stripeRefundId"], shown["amount"], shown["status"]) == (made.id, "3.00", "succeeded")
    payment = api.get(f"/api/payments/{payment_id}").json()
    assert (payment["status"], payment["amountRefunded"]) == ("partially_refunded", "3.00")
    assert len(events("payment.refunded")) == 1


def test_our_own_refund_is_not_taken_for_another(api, stripe):
    payment_id = api.charge().json()["id"]
    stripe.breaks("/v1/refunds", "lose")
    api.post(f"/api/payments/{payment_id}/refunds", {}, **{"Idempotency-Key": "k"})
    stripe.reset()
    send("charge.refunded", {"id": "ch_any", "payment_intent": intent_of(payment_id)})
    assert Refund.objects.get().status == "succeeded"
    assert api.get(f"/api/payments/{payment_id}").json()["status"] == "refunded"


def test_a_refund_that_fails_later_is_taken_back(api):
    payment_id = api.charge().json()["id"]
    refund_id = api.post(f"/api/payments/{payment_id}/refunds", {"amount": "4"}, **{"Idempotency-Key": "k"}).json()
    stripe_id = refund_id["stripeRefundId"]
    stripe_gateway._client().raw_request("post", f"/v1/refunds/{stripe_id}", status="failed")
    for _ in range(2):
        send("refund.failed", {"id": stripe_id})
    payment = api.get(f"/api/payments/{payment_id}").json()
    assert (payment["status"], payment["amountRefunded"]) == ("completed", "0.00")
    (shown,) = api.get(f"/api/payments/{payment_id}/refunds").json()["items"]
    assert shown["status"] == "failed"
    (balance,) = api.get("/api/payments/balance").json()["balances"]
    assert (balance["refunded"], balance["net"]) == ("0.00", "10.00")


@pytest.mark.parametrize(
    ("type_", "found"),
    [
        ("customer.created", {"id": "cus_1"}),
        ("made.up", {}),
        ("payment_intent.succeeded", {"id": "pi_unknown"}),
        ("charge.refunded", {"id": "ch_1", "payment_intent": "pi_unknown"}),
        ("charge.refunded", {"id": "ch_1"}),
        ("refund.updated", {"id": "re_unknown"}),
        ("charge.dispute.created", {"id": "dp_1", "charge": "ch_unknown", "status": "lost", "amount": 5}),
        ("payout.paid", {"id": "po_unknown"}),
    ],
)
def test_what_is_not_about_us_is_kept_and_ignored(api, type_, found):
    answer = send(type_, found)
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert StripeWebhookEvent.objects.get().status == "ignored"


def test_is_sent_again_when_stripe_does_not_answer_us(api, settings):
    payment_id = api.charge(capture=False).json()["id"]
    stripe_gateway._client().v1.payment_intents.capture(intent_of(payment_id))
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    stripe_gateway._client.cache_clear()
    try:
        answer = send("payment_intent.succeeded", {"id": intent_of(payment_id)}, event_id="evt_1")
    finally:
        settings.STRIPE_API_BASE = f"http://127.0.0.1:{settings.TEST_STRIPE_PORT}"
        stripe_gateway._client.cache_clear()
    assert answer.status_code == 503
    assert StripeWebhookEvent.objects.get().status == "received"
    assert send("payment_intent.succeeded", {"id": intent_of(payment_id)}, event_id="evt_1").status_code == 200
    assert Payment.objects.get().status == "completed"


def refused(answer):
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert not StripeWebhookEvent.objects.exists()
    return answer.json()["type"] == "urn:banyan:problem:signature-invalid"


def test_only_what_stripe_has_signed():
    assert refused(send("made.up", {}, secret="whsec_another"))
    assert refused(send("made.up", {}, at=int(time.time()) - 301))
    for signature in ("", "nonsense", "t=1,v1=ü", "t=,v1=", f"t={int(time.time())},v1=00"):
        assert refused(send("made.up", {}, **{"Stripe-Signature": signature}))
    assert refused(Api().send("POST", PATH, "{}"))


def test_nothing_is_believed_without_a_secret(settings):
    secret, settings.STRIPE_WEBHOOK_SECRET = settings.STRIPE_WEBHOOK_SECRET, ""
    assert refused(send("made.up", {}, secret=secret))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[",
        "[]",
        "5",
        "{}",
        '{"id":"evt_1","type":"x","created":"soon","data":{"object":{}}}',
        '{"id":"evt_1","type":"x","created":1e300,"data":{"object":{}}}',
        '{"id":"","type":"x","created":1,"data":{"object":{}}}',
        '{"id":"evt_1","type":null,"created":1,"data":{"object":{}}}',
    ],
)
def test_what_is_no_event_is_refused(body):
    assert not refused(send("", {}, body=body))


def test_a_token_is_not_asked_for_and_other_methods_are_not_possible(api):
    assert api.get(PATH).status_code == 405
