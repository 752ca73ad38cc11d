"""Background jobs of the payments app."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from celery import shared_task

from .services.create_payouts import create_payout, due_currencies, open_payouts, reconcile_payout
from .services.reconcile import (
    due_changes,
    due_payments,
    due_refunds,
    reconcile,
    reconcile_change,
    reconcile_refund,
)
from .services.renew import due_subscriptions, renew

logger = logging.getLogger(__name__)


@shared_task(name="payments.reconcile_pending_payments")
def reconcile_pending_payments() -> None:
    """Settle charges, captures, cancellations and refunds that a crash, a timeout or a 5xx left undecided."""
    _each(due_payments(), reconcile, "payment not reconciled")
    _each(due_changes(), reconcile_change, "capture or cancellation not reconciled")
    _each(due_refunds(), reconcile_refund, "refund not reconciled")


@shared_task(name="payments.renew_subscriptions")
def renew_subscriptions() -> None:
    """Bill subscriptions whose period is over, try declined ones again, end those that are to end."""
    _each(due_subscriptions(), renew, "subscription not renewed")


@shared_task(name="payments.create_payouts")
def create_payouts() -> None:
    """See how earlier payouts ended, then pay out what is settled, a payout per currency."""
    _each(open_payouts(), reconcile_payout, "payout not reconciled")
    _each(due_currencies(), create_payout, "payout not created")


def _each(due: Iterable[Any], work: Callable[[Any], object], complaint: str) -> None:
    """One that cannot be worked off must not keep the others waiting."""
    for item in due:
        try:
            work(item)
        except Exception:
            logger.exception(complaint, extra={"item": item})
