"""The jobs work off what this side began, and nothing that a sync brought from the payments service."""

from datetime import timedelta

import pytest
from django.utils import timezone

from payments.models import Payment, PaymentAttempt, PaymentStatus, Refund
from payments.services.create_payouts import create_payout, due_currencies
from payments.services.own_rows import FIRST_OF_SERVICE
from payments.services.reconcile import due_changes, due_payments, due_refunds
from testing.api import sign_up


@pytest.fixture
def pairs(stripe):
    """A payment of ours and one as the service would have made it, of every kind that a job looks for."""
    api = sign_up()
    old = timezone.now() - timedelta(days=3)
    ours = Payment.objects.get(pk=api.charge().json()["id"])
    for pk in (ours.pk, FIRST_OF_SERVICE):
        payment = Payment.objects.get(pk=ours.pk)
        payment.pk, payment.idempotency_key, payment.stripe_payment_intent_id = pk, f"key {pk}", f"pi_{pk}"
        payment.payout_due, payment.completed_at, payment.amount_refunded = True, old, 0
        payment.save(force_insert=pk != ours.pk)
        pending = Payment.objects.get(pk=pk)
        pending.pk, pending.idempotency_key, pending.stripe_payment_intent_id = pk + 1000, f"pending {pk}", None
        pending.status, pending.completed_at, pending.payout_due = PaymentStatus.PENDING, None, False
        pending.save(force_insert=True)
        PaymentAttempt.objects.create(
            pk=pk + 1000, payment_id=pk + 1000, number=7, operation="capture", amount=1, started_at=old
        )
        Refund.objects.create(pk=pk, payment_id=pk, amount=1, currency_id=ours.currency_id, started_at=old)
    Payment.objects.filter(status=PaymentStatus.PENDING).update(created_at=old)
    return ours


def test_each_side_finishes_what_it_began(pairs):
    assert due_payments() == [pairs.pk + 1000]
    assert due_changes() == [pairs.pk + 1000]
    assert due_refunds() == [pairs.pk]
    assert due_currencies() == [pairs.currency_id]
    payout = create_payout(pairs.currency_id)
    assert [item.payment_id for item in payout.items.all()] == [pairs.pk]
    assert Payment.objects.get(pk=FIRST_OF_SERVICE).payout_due


@pytest.mark.parametrize("phase", ["new", "retired"])
def test_nothing_is_left_for_us_once_the_service_has_taken_over(pairs, settings, phase):
    settings.PAYMENTS_PHASE = phase
    assert (due_payments(), due_changes(), due_refunds(), due_currencies()) == ([], [], [], [])
    assert create_payout(pairs.currency_id) is None
