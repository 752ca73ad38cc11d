"""Subscribing, switching, ending, and the invoices of it."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from payments import stripe_gateway
from payments.models import Coupon, Invoice, Payment, PaymentAttempt, PaymentMethod, Plan, Subscription
from payments.services.billing import credit_minor, discount_minor
from payments.services.periods import period_end
from payments.tasks import reconcile_pending_payments
from testing.api import Api, sign_up
from testing.outbox import events

BASIC, PRO, TEAM, STARTER, GULF = 1, 2, 3, 4, 5


@pytest.fixture
def api(stripe):
    return sign_up()


@pytest.fixture
def card(api):
    return api.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_visa"}).json()["id"]


def subscribe(api, plan_id, card, *, key=None, **body):
    return api.post(
        "/api/payments/subscriptions",
        {"planId": plan_id, "paymentMethodId": card, **body},
        **{"Idempotency-Key": key or str(uuid.uuid4())},
    )


def invoices(api):
    return api.get("/api/payments/invoices").json()["items"]


def halfway(subscription_id):
    """Let half of the current period be over, to the microsecond."""
    row = Subscription.objects.get(pk=subscription_id)
    shift = (row.current_period_end - row.current_period_start) // 2
    now = timezone.now()
    start = now - shift
    Subscription.objects.filter(pk=row.pk).update(current_period_start=start, current_period_end=now + shift)
    Invoice.objects.filter(subscription=row).update(period_start=start, period_end=now + shift)


def test_the_first_period_is_paid_at_once(api, card):
    answer = subscribe(api, PRO, card)
    assert answer.status_code == 201, answer.content
    body = answer.json()
    row = Subscription.objects.get()
    start, end = datetime.fromisoformat(body["currentPeriodStart"]), datetime.fromisoformat(body["currentPeriodEnd"])
    assert timedelta(days=28) <= end - start <= timedelta(days=31)
    assert body == {
        "id": row.pk,
        "userId": api.user["id"],
        "planId": PRO,
        "status": "active",
        "paymentMethodId": card,
        "couponCode": None,
        "currentPeriodStart": body["currentPeriodStart"],
        "currentPeriodEnd": body["currentPeriodEnd"],
        "cancelAtPeriodEnd": False,
        "createdAt": body["createdAt"],
        "canceledAt": None,
    }
    payment = Payment.objects.get()
    (invoice,) = invoices(api)
    assert invoice["number"].startswith("INV-")
    assert invoice == {
        "id": Invoice.objects.get().pk,
        "number": invoice["number"],
        "subscriptionId": row.pk,
        "status": "paid",
        "currency": "USD",
        "subtotal": "29.00",
        "discount": "0.00",
        "total": "29.00",
        "periodStart": body["currentPeriodStart"],
        "periodEnd": body["currentPeriodEnd"],
        "paymentId": payment.pk,
        "lines": [
            {
                "description": "Pro, monthly",
                "amount": "29.00",
                "periodStart": body["currentPeriodStart"],
                "periodEnd": body["currentPeriodEnd"],
                "proration": False,
            }
        ],
        "createdAt": invoice["createdAt"],
        "paidAt": invoice["paidAt"],
    }
    assert [event.data["paymentId"] for event in events("payment.completed")] == [payment.pk]
    assert events("subscription.renewed") == []
    assert invoices(sign_up("grace@example.com")) == []
    assert Api().get("/api/payments/invoices").status_code == 401


@pytest.mark.parametrize(
    ("plan_id", "code", "discount", "total"),
    [
        (BASIC, "WELCOME10", "1.00", "8.99"),
        (BASIC, "FIVEOFF", "5.00", "4.99"),
        (STARTER, "WELCOME10", "98", "882"),
        (GULF, "WELCOME10", "0.350", "3.150"),
    ],
)
def test_a_coupon_lowers_the_first_invoice(api, card, plan_id, code, discount, total):
    assert subscribe(api, plan_id, card, couponCode=code).json()["couponCode"] == code
    (invoice,) = invoices(api)
    assert (invoice["discount"], invoice["total"]) == (discount, total)


def test_the_last_use_of_a_coupon_is_one_users(api, card):
    Coupon.objects.create(code="ONLY1", percent_off=5, max_redemptions=1)
    assert subscribe(api, BASIC, card, couponCode="ONLY1").status_code == 201
    other = sign_up("grace@example.com")
    theirs = other.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_visa"}).json()["id"]
    assert subscribe(other, BASIC, theirs, couponCode="ONLY1").status_code == 422


def test_an_invoice_of_nothing_needs_no_payment(api, card):
    Coupon.objects.create(code="FREE", percent_off=100)
    assert subscribe(api, BASIC, card, couponCode="FREE").json()["status"] == "active"
    (invoice,) = invoices(api)
    assert (invoice["total"], invoice["status"], invoice["paymentId"]) == ("0.00", "paid", None)
    assert not Payment.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"planId": None}, "planId"),
        ({"planId": 99}, "planId"),
        ({"planId": 10**30}, "planId"),
        ({"planId": "1"}, "planId"),
        ({"paymentMethodId": None}, "paymentMethodId"),
        ({"paymentMethodId": 10**30}, "paymentMethodId"),
        ({"paymentMethodId": "pm_nonsense"}, "paymentMethodId"),
        ({"couponCode": "NONE"}, "couponCode"),
        ({"couponCode": 5}, "couponCode"),
        ({"couponCode": "FIVEOFF", "planId": TEAM}, "couponCode"),
        ({"couponCode": "OLD"}, "couponCode"),
        ({"couponCode": "GONE"}, "couponCode"),
    ],
)
def test_names_the_field_that_is_wrong(api, card, body, field):
    Coupon.objects.create(code="OLD", percent_off=5, valid_until=timezone.now())
    Coupon.objects.create(code="GONE", percent_off=5, max_redemptions=0)
    answer = subscribe(api, BASIC, card, **body)
    assert answer.status_code == 422, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Subscription.objects.exists()


def test_a_coupon_is_for_each_user_once(api, card):
    first = subscribe(api, BASIC, card, couponCode="WELCOME10").json()
    assert subscribe(api, GULF, card, couponCode="WELCOME10").status_code == 422
    assert first["status"] == "active"


def test_only_with_one_s_own_card(api, card):
    other = sign_up("grace@example.com")
    assert subscribe(other, BASIC, card).status_code == 422
    assert subscribe(Api(), BASIC, card).status_code == 401
    assert api.post("/api/payments/subscriptions", {}).status_code == 400


def test_the_same_request_again_is_answered_with_the_same_subscription(api, card, stripe):
    first, again = subscribe(api, BASIC, card, key="k"), subscribe(api, BASIC, card, key="k")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again["Idempotent-Replayed"] == "true"
    assert subscribe(api, PRO, card, key="k").json()["type"] == "urn:banyan:problem:idempotency-key-reused"
    assert len(stripe.charges) == 1


def test_a_second_one_on_the_same_plan(api, card):
    subscribe(api, BASIC, card)
    answer = subscribe(api, BASIC, card)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:banyan:problem:already-subscribed")
    # Another currency is another matter.
    assert subscribe(api, GULF, card).status_code == 201


def test_a_declined_card_ends_it_before_it_began(api):
    bad = api.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_chargeDeclined"}).json()["id"]
    answer = subscribe(api, BASIC, bad, key="k", couponCode="WELCOME10")
    assert (answer.status_code, answer.json()["status"]) == (402, "incomplete_expired")
    assert invoices(api)[0]["status"] == "void"
    assert subscribe(api, BASIC, bad, key="k").status_code == 422
    assert subscribe(api, BASIC, bad, key="k", couponCode="WELCOME10").status_code == 402
    # Neither the plan nor the coupon are used up.
    assert subscribe(api, BASIC, "pm_card_visa", couponCode="WELCOME10").status_code == 201


def test_a_card_refused_when_attached(api):
    answer = subscribe(api, BASIC, "pm_card_visa_chargeDeclined")
    assert (answer.status_code, answer.json()["type"]) == (402, "urn:banyan:problem:payment-method-declined")
    assert not Subscription.objects.exists()


def test_a_lost_answer_leaves_it_incomplete_until_stripe_was_asked(api, card, stripe):
    stripe.fault = "lose"
    answer = subscribe(api, BASIC, card, key="k")
    assert (answer.status_code, answer.json()["status"]) == (202, "incomplete")
    assert subscribe(api, PRO, card).status_code == 409
    stripe.fault = None
    Payment.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    PaymentAttempt.objects.update(started_at=timezone.now() - timedelta(minutes=5))
    reconcile_pending_payments()
    again = subscribe(api, BASIC, card, key="k")
    assert (again.status_code, again.json()["status"]) == (201, "active")
    assert len(stripe.charges) == 1


def test_what_was_ended_meanwhile_is_paid_back(api, card, stripe):
    stripe.fault = "lose"
    subscription_id = subscribe(api, BASIC, card).json()["id"]
    stripe.fault = None
    ended = api.send("DELETE", f"/api/payments/subscriptions/{subscription_id}")
    assert ended.json()["status"] == "canceled"
    Payment.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    PaymentAttempt.objects.update(started_at=timezone.now() - timedelta(minutes=5))
    reconcile_pending_payments()
    payment = Payment.objects.get()
    assert (payment.status, payment.amount_refunded) == ("refunded", Decimal("9.99"))
    assert len(stripe_gateway.refunds_of(payment.stripe_payment_intent_id)) == 1
    assert Subscription.objects.get().status == "canceled"


def test_ends_with_the_paid_period(api, card):
    subscription_id = subscribe(api, BASIC, card).json()["id"]
    path = f"/api/payments/subscriptions/{subscription_id}"
    answer = api.send("DELETE", path)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["cancelAtPeriodEnd"]) == ("active", True)
    assert api.send("DELETE", path).json() == answer.json()
    assert sign_up("grace@example.com").send("DELETE", path).status_code == 404
    assert Api().send("DELETE", path).status_code == 401
    assert api.send("DELETE", path + "0").status_code == 404


def test_an_erased_account_is_charged_no_more(api, card):
    from payments.receivers import end_subscriptions
    from users.signals import account_erased

    subscribe(api, BASIC, card)
    assert end_subscriptions in [found for _, found in _receivers(account_erased)]
    answer = api.send("DELETE", "/api/users/me", {"password": "correct-horse-battery"})
    assert answer.status_code == 204
    assert Subscription.objects.get().status == "canceled"


def _receivers(signal):
    return [(key, found()) for key, found, *_ in signal.receivers]


def test_switching_credits_the_unused_time(api, card):
    old = subscribe(api, BASIC, card).json()
    halfway(old["id"])
    new = subscribe(api, PRO, card).json()
    assert (new["status"], new["planId"]) == ("active", PRO)
    replaced = Subscription.objects.get(pk=old["id"])
    assert replaced.status == "canceled"
    assert replaced.canceled_at
    invoice = invoices(api)[0]
    credit = next(line for line in invoice["lines"] if line["proration"])
    # A moment less than half is unused: 9.99 / 2, rounded in the customer's favour.
    assert credit["amount"] == "-5.00"
    assert (invoice["subtotal"], invoice["total"]) == ("24.00", "24.00")
    assert Payment.objects.get(pk=invoice["paymentId"]).amount == Decimal("24.00")


@pytest.mark.parametrize(
    ("plan_id", "price", "credit", "total"), [(STARTER, "2000", "-490", "1510"), (GULF, "7.005", "-1.750", "5.255")]
)
def test_switching_with_other_decimals(api, card, plan_id, price, credit, total):
    plan = Plan.objects.get(pk=plan_id)
    better = Plan.objects.create(code="better", name="Better", amount=price, currency=plan.currency, interval="month")
    halfway(subscribe(api, plan_id, card).json()["id"])
    assert subscribe(api, better.pk, card).status_code == 201
    invoice = invoices(api)[0]
    assert [line["amount"] for line in invoice["lines"]] == [price, credit]
    assert invoice["total"] == total


def test_a_switch_that_would_pay_out_is_refused(api, card):
    subscribe(api, PRO, card)
    answer = subscribe(api, BASIC, card)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:banyan:problem:invalid-state")
    assert Subscription.objects.get().status == "active"


def test_a_declined_switch_leaves_the_old_plan(api, card):
    old = subscribe(api, BASIC, card).json()["id"]
    bad = api.post("/api/payments/methods", {"stripePaymentMethodId": "pm_card_chargeDeclined"}).json()["id"]
    assert subscribe(api, PRO, bad).status_code == 402
    assert Subscription.objects.get(pk=old).status == "active"


def test_a_card_in_use_is_not_removed(api, card):
    subscription_id = subscribe(api, BASIC, card).json()["id"]
    answer = api.send("DELETE", f"/api/payments/methods/{card}")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:banyan:problem:invalid-state")
    Subscription.objects.filter(pk=subscription_id).update(status="canceled")
    assert api.send("DELETE", f"/api/payments/methods/{card}").status_code == 204
    assert PaymentMethod.objects.get().detached_at


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_periods_return_to_their_day():
    ends, start = [], NOON
    for _ in range(4):
        start = period_end(NOON, start, "month")
        ends.append((start.month, start.day, start.hour))
    assert ends == [(2, 28, 12), (3, 31, 12), (4, 30, 12), (5, 31, 12)]
    leap_day = datetime(2028, 2, 29, tzinfo=UTC)
    once = period_end(leap_day, leap_day, "year")
    assert once == datetime(2029, 2, 28, tzinfo=UTC)
    assert period_end(NOON, datetime(2026, 12, 31, 12, tzinfo=UTC), "month").year == 2027


@pytest.mark.parametrize(
    ("paid", "passed", "credit"),
    [
        (999, 0, -999),
        (999, 15, -500),
        (999, 30, 0),
        (999, 31, 0),
        (999, -1, -999),
        (1, 29, -1),
        (0, 3, 0),
        (3500, 20, -1167),
    ],
)
def test_credit_is_rounded_in_the_customers_favour(paid, passed, credit):
    start = datetime(2026, 6, 1, tzinfo=UTC)
    now = start + timedelta(days=passed)
    assert credit_minor(paid, start, start + timedelta(days=30), now) == credit


@pytest.mark.parametrize(
    ("price", "coupon", "decimals", "discount"),
    [
        (999, {"percent_off": 10}, 2, 100),
        (980, {"percent_off": 10}, 0, 98),
        (3500, {"percent_off": 33}, 3, 1155),
        (400, {"amount_off": Decimal("5.00")}, 2, 400),
        (999, {"amount_off": Decimal("5.00")}, 2, 500),
    ],
)
def test_discounts_are_whole_minor_units(price, coupon, decimals, discount):
    assert discount_minor(price, Coupon(**coupon), decimals) == discount
