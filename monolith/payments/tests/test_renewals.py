"""Renewing subscriptions: each period once, declines tried again, the end when it was asked for."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from payments import stripe_gateway
from payments.models import Invoice, Payment, PaymentAttempt, PaymentMethod, Subscription
from payments.services.renew import due_subscriptions, renew
from payments.tasks import reconcile_pending_payments, renew_subscriptions
from testing.api import sign_up
from testing.outbox import events


@pytest.fixture
def api(stripe):
    return sign_up()


@pytest.fixture
def subscription(api):
    return subscribe(api, 1)


def subscribe(api, plan_id, **body):
    answer = api.post(
        "/api/payments/subscriptions",
        {"planId": plan_id, "paymentMethodId": "pm_card_visa", **body},
        **{"Idempotency-Key": str(uuid.uuid4())},
    )
    assert answer.status_code == 201, answer.content
    return Subscription.objects.get(pk=answer.json()["id"])


def pass_time(by=timedelta(days=31, hours=1)):
    """Shift everything into the past."""
    for row in Subscription.objects.all():
        for name in ("billing_anchor", "current_period_start", "current_period_end", "next_billing_at"):
            setattr(row, name, getattr(row, name) - by)
        row.save()
    for invoice in Invoice.objects.all():
        invoice.period_start, invoice.period_end = invoice.period_start - by, invoice.period_end - by
        invoice.save()
    for payment in Payment.objects.all():
        Payment.objects.filter(pk=payment.pk).update(created_at=payment.created_at - by)
    for attempt in PaymentAttempt.objects.all():
        PaymentAttempt.objects.filter(pk=attempt.pk).update(started_at=attempt.started_at - by)


def use_bad_card(api, subscription):
    bad = api.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_chargeDeclined"}).json()["id"]
    Subscription.objects.filter(pk=subscription.pk).update(payment_method=bad)


def test_nothing_is_due_before_the_end_of_the_period(subscription, stripe):
    assert due_subscriptions() == []
    renew(subscription.pk)
    assert len(stripe.charges) == 1


@pytest.mark.parametrize(("plan_id", "amount_minor", "total"), [(1, 999, "9.99"), (4, 980, "980"), (5, 3500, "3.500")])
def test_the_next_period_is_paid(api, plan_id, amount_minor, total):
    subscription = subscribe(api, plan_id)
    pass_time()
    subscription.refresh_from_db()
    renew_subscriptions()
    renewed = Subscription.objects.get()
    assert renewed.status == "active"
    assert renewed.current_period_start == subscription.current_period_end
    assert renewed.next_billing_at == renewed.current_period_end > timezone.now()
    newest = api.get("/api/payments/invoices").json()["items"][0]
    assert (newest["total"], newest["status"]) == (total, "paid")
    payment = Payment.objects.get(pk=newest["paymentId"])
    assert (payment.off_session, payment.status) == (True, "completed")
    (event,) = events("subscription.renewed")
    assert event.subject == f"subscription/{subscription.pk}"
    assert event.data == {
        "subscriptionId": subscription.pk,
        "userId": api.user["id"],
        "planId": plan_id,
        "paymentId": payment.pk,
        "periodStart": newest["periodStart"],
        "periodEnd": newest["periodEnd"],
    }
    assert events("payment.completed")[-1].data["amountMinor"] == amount_minor


def test_a_period_is_billed_once_however_often_the_job_runs(subscription, stripe):
    pass_time()

    def run(_):
        try:
            renew_subscriptions()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    renew_subscriptions()
    assert len(stripe.charges) == 2
    assert Invoice.objects.count() == 2
    assert len(events("subscription.renewed")) == 1


def test_a_coupon_for_the_first_invoice_is_not_for_the_second(api):
    subscribe(api, 1, couponCode="WELCOME10")
    pass_time()
    renew_subscriptions()
    assert [invoice["total"] for invoice in api.get("/api/payments/invoices").json()["items"]] == ["9.99", "8.99"]


def test_what_was_missed_is_made_up_for(subscription):
    pass_time(timedelta(days=63))
    renew_subscriptions()
    renew_subscriptions()
    assert Invoice.objects.filter(status="paid").count() == 3
    assert due_subscriptions() == []


def test_ends_at_the_end_of_the_period_when_asked_to(api, subscription, stripe):
    api.send("DELETE", f"/api/payments/subscriptions/{subscription.pk}")
    pass_time()
    renew_subscriptions()
    subscription.refresh_from_db()
    assert subscription.status == "canceled"
    assert subscription.canceled_at
    assert len(stripe.charges) == 1


def test_a_decline_is_tried_again_and_made_good(api, subscription, stripe):
    good = PaymentMethod.objects.get().pk
    use_bad_card(api, subscription)
    pass_time()
    renew_subscriptions()
    subscription.refresh_from_db()
    assert (subscription.status, subscription.failed_attempts) == ("past_due", 1)
    renew_subscriptions()
    assert len(stripe.charges) == 2  # not before its time
    Subscription.objects.update(payment_method=good)
    pass_time(timedelta(days=1, minutes=1))
    renew_subscriptions()
    subscription.refresh_from_db()
    assert (subscription.status, subscription.failed_attempts) == ("active", 0)
    # One invoice, whichever payment it took.
    assert Invoice.objects.filter(status="paid").count() == Invoice.objects.count() == 2
    assert len(events("subscription.renewed")) == 1
    assert len(events("payment.failed")) == 1


def test_after_the_last_decline_it_ends(api, subscription, stripe):
    use_bad_card(api, subscription)
    pass_time()
    for _ in range(5):
        renew_subscriptions()
        pass_time(timedelta(days=6))
    subscription.refresh_from_db()
    assert subscription.status == "canceled"
    assert len(stripe.charges) == 5  # the first period, the renewal, three more tries
    assert list(Invoice.objects.order_by("id").values_list("status", flat=True)) == ["paid", "uncollectible"]


def test_one_that_is_past_due_ends_at_once(api, subscription):
    use_bad_card(api, subscription)
    pass_time()
    renew_subscriptions()
    answer = api.send("DELETE", f"/api/payments/subscriptions/{subscription.pk}")
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert Invoice.objects.order_by("id").last().status == "void"
    other_plan = api.post(
        "/api/payments/subscriptions",
        {"planId": 2, "paymentMethodId": "pm_card_visa"},
        **{"Idempotency-Key": "again"},
    )
    assert other_plan.status_code == 201


def test_switching_away_from_an_unpaid_plan_is_refused(api, subscription):
    use_bad_card(api, subscription)
    pass_time()
    renew_subscriptions()
    answer = api.post(
        "/api/payments/subscriptions", {"planId": 2, "paymentMethodId": "pm_card_visa"}, **{"Idempotency-Key": "k"}
    )
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:banyan:problem:invalid-state")


@pytest.mark.parametrize("fault", ["lose", "refuse"])
def test_a_lost_answer_is_found_out_by_reconciliation(subscription, stripe, fault):
    pass_time()
    stripe.fault = fault
    renew_subscriptions()
    renew_subscriptions()
    assert len(stripe.charges) == 2
    stripe.fault = None
    pass_time(timedelta(minutes=5))
    reconcile_pending_payments()
    subscription.refresh_from_db()
    assert (subscription.status, Invoice.objects.filter(status="paid").count()) == ("active", 2)
    assert len(set(stripe.charges)) == 2
    assert len(events("subscription.renewed")) == 1


def test_a_card_that_asks_for_its_holder_counts_as_declined(api, subscription):
    card = {"number": "4000002500003155", "exp_month": 12, "exp_year": 2030, "cvc": "123"}
    method = stripe_gateway._client().v1.payment_methods.create({"type": "card", "card": card})
    asks = api.post("/api/payments/methods", {"stripePaymentMethodId": method.id}).json()["id"]
    Subscription.objects.update(payment_method=asks)
    pass_time()
    renew_subscriptions()
    subscription.refresh_from_db()
    assert (subscription.status, subscription.failed_attempts) == ("past_due", 1)
    assert Payment.objects.order_by("id").last().status == "canceled"


def test_the_account_of_nobody_is_not_charged(api, subscription, stripe):
    subscription.user.is_active = False
    subscription.user.save()
    pass_time()
    renew_subscriptions()
    subscription.refresh_from_db()
    assert subscription.status == "canceled"
    assert len(stripe.charges) == 1
