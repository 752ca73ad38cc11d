"""Whatever happens, in whatever order: the ledger balances, and tells the same as the payments."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import F, Sum
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payments import stripe_gateway
from payments.models import (
    Fee,
    Invoice,
    LedgerAccount,
    LedgerEntry,
    LedgerTransaction,
    Payment,
    PaymentAttempt,
    Payout,
    Refund,
    Subscription,
)
from payments.services.create_payouts import SETTLED_AFTER
from payments.tasks import create_payouts, reconcile_pending_payments, renew_subscriptions
from testing.api import sign_up

from .test_webhooks import intent_of, send

CHARGES, CAPTURES = "/v1/payment_intents", "/v1/payment_intents/[^/]+/capture"
REFUNDS, PAYOUTS = "/v1/refunds", "/v1/payouts"

amounts = st.integers(1, 9999)
which = st.integers(0, 9)
steps = st.one_of(
    st.tuples(st.just("charge"), st.sampled_from(["EUR", "JPY", "KWD"]), amounts, st.booleans(), st.booleans()),
    st.tuples(st.just("charge"), st.just("EUR"), amounts, st.just(True), st.just(False)),
    st.tuples(st.just("capture"), which, st.none() | st.integers(1, 100)),
    st.tuples(st.just("cancel"), which),
    st.tuples(st.just("refund"), which, st.none() | st.integers(1, 100)),
    st.tuples(st.just("refund"), which, st.integers(1, 60)),
    st.tuples(
        st.just("dispute"),
        which,
        st.lists(st.sampled_from(["needs_response", "warning_needs_response", "won", "lost"]), min_size=1, max_size=3),
    ),
    st.tuples(st.just("subscribe"), st.sampled_from([3, 4, 5]), st.sampled_from(["", "WELCOME10"])),
    st.tuples(st.just("renew"), st.integers(1, 400)),
    st.tuples(st.just("pay_out"), st.sampled_from(["pending", "paid", "failed"])),
    st.tuples(
        st.just("break"), st.sampled_from([CHARGES, CAPTURES, REFUNDS, PAYOUTS]), st.sampled_from(["lose", "refuse"])
    ),
    st.tuples(st.just("mend")),
)


class World:
    """A user, and the steps as requests, events and jobs. Those that are refused must change nothing."""

    def __init__(self, stripe):
        self.stripe = stripe
        self.api = sign_up(f"{uuid.uuid4()}@example.com")

    def payment(self, number):
        rows = list(Payment.objects.filter(user_id=self.api.user["id"]).order_by("-id"))
        return rows[number % len(rows)] if rows else None

    def share(self, payment, percent):
        """A part of the payment in the currency's decimals."""
        if percent is None:
            return {}
        unit = Decimal(1).scaleb(-payment.currency.decimals)
        return {"amount": str(max(unit, (payment.amount * percent / 100).quantize(unit)))}

    def charge(self, currency, minor, capture, declined):
        decimals = {"EUR": 2, "JPY": 0, "KWD": 3}[currency]
        amount = str(Decimal(minor).scaleb(-decimals))
        card = "pm_card_chargeDeclined" if declined else "pm_card_visa"
        return self.api.charge(amount=amount, currency=currency, capture=capture, paymentMethodId=card)

    def capture(self, number, percent):
        if payment := self.payment(number):
            return self.api.post(f"/api/payments/{payment.pk}/capture", self.share(payment, percent))

    def cancel(self, number):
        if payment := self.payment(number):
            return self.api.post(f"/api/payments/{payment.pk}/cancel", {})

    def refund(self, number, percent):
        if payment := self.payment(number):
            key = {"Idempotency-Key": str(uuid.uuid4())}
            return self.api.post(f"/api/payments/{payment.pk}/refunds", self.share(payment, percent), **key)

    def dispute(self, number, statuses):
        payment = self.payment(number)
        if payment is None or payment.completed_at is None or payment.disputes.exists():
            return
        unit = payment.currency.decimals
        minor = int((payment.amount - payment.amount_refunded).scaleb(unit)) or 1
        for status in statuses:
            found = {"id": f"dp_{payment.pk}", "payment_intent": intent_of(payment.pk), "amount": minor}
            assert send("charge.dispute.updated", {**found, "status": status}).status_code == 200

    def subscribe(self, plan_id, coupon):
        body = {"planId": plan_id, "paymentMethodId": "pm_card_visa", **({"couponCode": coupon} if coupon else {})}
        return self.api.post("/api/payments/subscriptions", body, **{"Idempotency-Key": str(uuid.uuid4())})

    def renew(self, days):
        by = timedelta(days=days)
        for name in ("billing_anchor", "current_period_start", "current_period_end", "next_billing_at"):
            Subscription.objects.update(**{name: F(name) - by})
        Invoice.objects.update(period_start=F("period_start") - by, period_end=F("period_end") - by)
        renew_subscriptions()

    def pay_out(self, status):
        Payment.objects.exclude(completed_at=None).update(completed_at=timezone.now() - SETTLED_AFTER)
        Payout.objects.update(started_at=timezone.now() - timedelta(minutes=5))
        create_payouts()
        for payout in Payout.objects.exclude(stripe_payout_id=None).exclude(status="failed"):
            stripe_gateway._client().raw_request("post", f"{PAYOUTS}/{payout.stripe_payout_id}", status=status)
            assert send(f"payout.{status}", {"id": payout.stripe_payout_id}).status_code == 200

    def break_(self, path, fault):
        self.stripe.breaks(path, fault)

    def mend(self):
        """Everything answers again, and the job has found out what had got lost."""
        self.stripe.reset()
        ago = timezone.now() - timedelta(minutes=5)
        Payment.objects.filter(status="pending").update(created_at=ago)
        PaymentAttempt.objects.filter(status__in=["started", "unknown"]).update(started_at=ago)
        Refund.objects.filter(status="pending").update(started_at=ago)
        reconcile_pending_payments()


def check(user_id):
    """The ledger balances, the balances are the entries' sums, and the user's payments tell the same."""
    unbalanced = LedgerTransaction.objects.values("pk", "entries__currency").annotate(sum=Sum("entries__amount"))
    assert not unbalanced.exclude(sum=0).exists()
    for account in LedgerAccount.objects.annotate(sum=Sum("entries__amount")):
        assert account.balance == (account.sum or 0), account
    for payment in Payment.objects.filter(user_id=user_id):
        refunds = payment.refunds.filter(status="succeeded").aggregate(sum=Sum("amount"))["sum"] or 0
        assert payment.amount_refunded == refunds <= payment.amount
        assert _booked(payment, "charge", "stripe") == (payment.amount if payment.completed_at else 0)
        fees = Fee.objects.filter(payment=payment).aggregate(sum=Sum("amount"))["sum"] or 0
        assert _booked(payment, "fee", "fees") == fees
        back = _booked(payment, "refund", "customer") + _booked(payment, "refund_failed", "customer")
        assert back == refunds
    in_bank = LedgerAccount.objects.filter(kind="bank").aggregate(sum=Sum("balance"))["sum"] or 0
    assert in_bank == (Payout.objects.filter(status="paid").aggregate(sum=Sum("amount"))["sum"] or 0)


def _booked(payment, kind, account):
    found = LedgerEntry.objects.filter(transaction__payment=payment, transaction__kind=kind, account__kind=account)
    return found.aggregate(sum=Sum("amount"))["sum"] or 0


def at_stripe(payment):
    """What Stripe kept of a payment, in minor units."""
    if payment.stripe_payment_intent_id is None:
        return 0
    intent = stripe_gateway._client().v1.payment_intents.retrieve(payment.stripe_payment_intent_id)
    if intent.status != "succeeded":
        return 0
    # localstripe shows what a partial capture gave free as refunded too.
    return intent.latest_charge.amount - intent.latest_charge.amount_refunded


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(st.lists(steps, min_size=4, max_size=14))
def test_any_sequence_balances(stripe, sequence):
    stripe.reset()
    world = World(stripe)
    for name, *arguments in sequence:
        answer = getattr(world, "break_" if name == "break" else name)(*arguments)
        assert answer is None or answer.status_code < 500, (name, arguments, answer.content)
        check(world.api.user["id"])
    # A second time for the refunds that the first one found to be owed.
    for _ in range(2):
        world.mend()
        check(world.api.user["id"])
    for payment in Payment.objects.filter(user_id=world.api.user["id"]).select_related("currency"):
        kept = payment.amount - payment.amount_refunded if payment.completed_at else Decimal(0)
        assert int(kept.scaleb(payment.currency.decimals)) == at_stripe(payment), payment
        assert payment.status != "pending"


@pytest.mark.parametrize("fault", ["lose", "refuse"])
def test_the_world_itself_works(stripe, fault):
    """The steps above do happen: not all are refused."""
    world = World(stripe)
    for step in [
        lambda: world.charge("EUR", 1000, True, False),
        lambda: world.charge("JPY", 500, False, False),
        lambda: world.capture(0, 50),
        lambda: world.refund(1, 10),
        lambda: world.subscribe(5, "WELCOME10"),
        lambda: world.dispute(0, ["needs_response", "won"]),
        lambda: world.renew(31),
        lambda: world.pay_out("paid"),
        lambda: world.break_(REFUNDS, fault),
        lambda: world.refund(0, 10),
        lambda: world.mend(),
    ]:
        answer = step()
        assert answer is None or answer.status_code in (200, 201, 202)
        check(world.api.user["id"])
    kinds = set(LedgerTransaction.objects.values_list("kind", flat=True))
    assert kinds == {"charge", "fee", "refund", "dispute_opened", "dispute_won", "payout"}
    assert Payment.objects.count() == 4
    assert Refund.objects.filter(status="succeeded").count() == 2
