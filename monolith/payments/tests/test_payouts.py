"""Payouts. localstripe makes them in euros only, so that is what is paid out here."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from payments import stripe_gateway
from payments.models import LedgerAccount, Payment, Payout, PayoutItem
from payments.services.create_payouts import SETTLED_AFTER, due_currencies
from payments.tasks import create_payouts
from testing.api import sign_up
from testing.outbox import events

from .test_webhooks import send

PAYOUTS = "/v1/payouts"


@pytest.fixture
def api(stripe):
    return sign_up()


def pay(api, amount="10.00", currency="EUR", **fields):
    payment_id = api.charge(amount=amount, currency=currency, **fields).json()["id"]
    settle_all()
    return payment_id


def settle_all():
    """Let the payments be old enough to be paid out."""
    Payment.objects.exclude(completed_at=None).update(completed_at=timezone.now() - SETTLED_AFTER)


def refund(api, payment_id, amount):
    answer = api.post(f"/api/payments/{payment_id}/refunds", {"amount": amount}, **{"Idempotency-Key": amount})
    assert answer.status_code == 201


def let(payout, status):
    """Stripe has news of a payout, and says so."""
    stripe_gateway._client().raw_request("post", f"{PAYOUTS}/{payout.stripe_payout_id}", status=status)
    send(f"payout.{status}", {"id": payout.stripe_payout_id})
    payout.refresh_from_db()


def balance(kind, currency="EUR"):
    return LedgerAccount.objects.get(kind=kind, currency=currency).balance


def test_settled_payments_are_paid_out_less_refunds_and_fees(api):
    first, second = pay(api, "10.00"), pay(api, "20.00")
    refund(api, second, "5.00")
    young = api.charge(amount="7.00", currency="EUR").json()["id"]
    api.charge(amount="8.00", currency="EUR", paymentMethodId="pm_card_chargeDeclined")
    create_payouts()
    payout = Payout.objects.get()
    # 1.5 % and 0.25: 0.40 and 0.55.
    assert (payout.amount, payout.payment_count, payout.status) == (Decimal("24.05"), 2, "pending")
    items = dict(payout.items.values_list("payment_id", "amount"))
    assert items == {first: Decimal("9.60"), second: Decimal("14.45")}
    at_stripe = stripe_gateway._client().v1.payouts.retrieve(payout.stripe_payout_id)
    assert (at_stripe.amount, at_stripe.currency) == (2405, "eur")
    assert events("payout.paid") == []
    create_payouts()
    assert Payout.objects.count() == 1
    assert Payment.objects.get(pk=young).payout_due


def test_being_paid_is_booked_and_published_once(api):
    pay(api)
    create_payouts()
    payout = Payout.objects.get()
    let(payout, "paid")
    let(payout, "paid")
    assert payout.status == "paid"
    assert (balance("bank"), balance("stripe")) == (Decimal("9.60"), 0)
    (event,) = events("payout.paid")
    assert event.subject == f"payout/{payout.pk}"
    assert event.data.pop("paidAt")
    assert event.data == {"payoutId": payout.pk, "amountMinor": 960, "currency": "EUR", "paymentCount": 1}


def test_the_job_asks_when_no_event_comes(api):
    pay(api)
    create_payouts()
    payout = Payout.objects.get()
    stripe_gateway._client().raw_request("post", f"{PAYOUTS}/{payout.stripe_payout_id}", status="paid")
    Payout.objects.update(started_at=timezone.now() - timedelta(minutes=5))
    create_payouts()
    payout.refresh_from_db()
    assert payout.status == "paid"
    assert len(events("payout.paid")) == 1


@pytest.mark.parametrize("after", [[], ["paid"]])
def test_one_that_fails_is_due_again(api, after):
    payment_id = pay(api)
    create_payouts()
    failed = Payout.objects.get()
    for status in [*after, "failed", "failed"]:
        let(failed, status)
    assert failed.status == "failed"
    assert balance("stripe") == Decimal("9.60")
    create_payouts()
    again = Payout.objects.exclude(pk=failed.pk).get()
    assert (again.amount, again.items.get().payment_id) == (Decimal("9.60"), payment_id)
    assert list(PayoutItem.objects.order_by("id").values_list("is_released", flat=True)) == [True, False]


def test_what_changes_after_the_payout_is_settled_in_the_next(api):
    first = pay(api)
    create_payouts()
    refund(api, first, "4.00")
    create_payouts()
    assert Payout.objects.count() == 1  # nothing to pay out, and Stripe cannot be paid back
    pay(api, "10.00")
    create_payouts()
    payout = Payout.objects.order_by("id").last()
    assert payout.amount == Decimal("5.60")
    assert sorted(payout.items.values_list("amount", flat=True)) == [Decimal("-4.00"), Decimal("9.60")]


def test_one_refunded_in_full_adds_nothing_but_its_fee(api):
    refund(api, pay(api), "10.00")
    create_payouts()
    assert not Payout.objects.exists()


def test_currencies_are_paid_out_apart_and_a_refusal_is_not_the_end(api):
    pay(api)
    pay(api, "10.00", "USD")
    assert due_currencies() == ["EUR", "USD"]
    create_payouts()
    assert dict(Payout.objects.values_list("currency", "status")) == {"EUR": "pending", "USD": "failed"}
    # localstripe refused the dollars: they are due again.
    assert due_currencies() == ["USD"]


@pytest.mark.parametrize("fault", ["lose", "error", "refuse"])
def test_a_lost_answer_is_found_out_and_nothing_sent_twice(api, stripe, fault):
    pay(api)
    stripe.breaks(PAYOUTS, fault)
    create_payouts()
    payout = Payout.objects.get()
    assert (payout.status, payout.stripe_payout_id) == ("pending", None)
    create_payouts()  # too early to ask
    assert len(stripe.keys) == 1
    stripe.fault = None
    Payout.objects.update(started_at=timezone.now() - timedelta(minutes=5))
    create_payouts()
    payout.refresh_from_db()
    assert payout.stripe_payout_id.startswith("po_")
    assert set(stripe.keys) == {f"payout:{payout.pk}"}
    own = [
        found.id
        for found in stripe_gateway._client().v1.payouts.list({"limit": 100}).auto_paging_iter()
        if found.metadata["payout_id"] == str(payout.pk)
    ]
    assert own == [payout.stripe_payout_id]


def test_one_that_never_arrived_is_given_up_after_a_day(api, stripe):
    pay(api)
    stripe.breaks(PAYOUTS, "refuse")
    create_payouts()
    Payout.objects.update(
        started_at=timezone.now() - timedelta(hours=26), created_at=timezone.now() - timedelta(hours=26)
    )
    create_payouts()
    assert list(Payout.objects.order_by("id").values_list("status", "failure_code")) == [
        ("failed", "not_processed"),
        ("pending", ""),
    ]
