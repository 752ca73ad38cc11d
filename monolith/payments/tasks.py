"""Background jobs of the payments app."""

from __future__ import annotations

import logging

from celery import shared_task

from .services.reconcile import due_payments, reconcile

logger = logging.getLogger(__name__)


@shared_task(name="payments.reconcile_pending_payments")
def reconcile_pending_payments() -> None:
    """Settle payments that a crash, a timeout or a 5xx left pending."""
    for payment_id in due_payments():
        try:
            reconcile(payment_id)
        except Exception:
            # One payment that cannot be settled must not keep the others waiting.
            logger.exception("payment not reconciled", extra={"payment_id": payment_id})
