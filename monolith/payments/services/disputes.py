"""Disputes, as Stripe tells of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from banyan import publish_event
from django.db import transaction
from django.utils import timezone

from common.times import rfc3339
from payments.models import (
    Dispute,
    DisputeEvidence,
    DisputeStatus,
    EvidenceKind,
    Payment,
    PaymentStatus,
    PaymentStatusChange,
    RefundStatus,
)
from payments.money import format_amount, from_minor, to_minor

from .ledger import book_dispute_lost, book_dispute_opened, book_dispute_won
from .settle_refund import refund_status

CLOSED = {DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.WARNING_CLOSED, DisputeStatus.PREVENTED}
WITHDRAWN = {DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW}
DISPUTABLE = {PaymentStatus.COMPLETED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED}


def apply_dispute(payment_id: int, found: dict[str, Any], seen_at: datetime) -> Dispute:
    """Bring a dispute to where Stripe has it; what is older than what we know changes nothing."""
    with transaction.atomic():
        payment = Payment.objects.select_for_update(of=("self",)).select_related("currency").get(pk=payment_id)
        status = DisputeStatus(found["status"])
        dispute = Dispute.objects.select_for_update(of=("self",)).filter(stripe_dispute_id=found["id"]).first()
        if dispute is not None and (dispute.stripe_event_at > seen_at or dispute.closed_at is not None):
            return dispute
        if dispute is None:
            dispute = _open(payment, found, status, seen_at)
        dispute.payment = payment
        dispute.status, dispute.stripe_event_at, dispute.due_by = status, seen_at, _due_by(found)
        if status in CLOSED:
            dispute.closed_at = timezone.now()
        _move_money(dispute)
        dispute.save()
        _show(payment, dispute)
    return dispute


def _open(payment: Payment, found: dict[str, Any], status: DisputeStatus, seen_at: datetime) -> Dispute:
    dispute = Dispute.objects.create(
        payment=payment,
        stripe_dispute_id=found["id"],
        amount=from_minor(found["amount"], payment.currency.decimals),
        currency=payment.currency,
        reason=str(found.get("reason") or "general")[:60],
        status=status,
        due_by=_due_by(found),
        stripe_event_at=seen_at,
    )
    _collect_evidence(dispute)
    publish_event(
        "payment.disputed",
        {
            "paymentId": payment.pk,
            "disputeId": dispute.pk,
            "userId": payment.user_id,
            "amountMinor": to_minor(dispute.amount, payment.currency.decimals),
            "currency": payment.currency_id,
            "reason": dispute.reason,
            "dueBy": dispute.due_by,
        },
        subject=f"payment/{payment.pk}",
    )
    return dispute


def _move_money(dispute: Dispute) -> None:
    """Stripe takes the amount when a dispute opens, and gives it back when we win. Inquiries move nothing."""
    lost = dispute.status == DisputeStatus.LOST
    if not dispute.is_withdrawn and (lost or dispute.status in WITHDRAWN):
        dispute.is_withdrawn = True
        book_dispute_opened(dispute)
    if lost:
        book_dispute_lost(dispute)
    elif dispute.is_withdrawn and dispute.status in CLOSED:
        dispute.is_withdrawn = False
        book_dispute_won(dispute)


def _show(payment: Payment, dispute: Dispute) -> None:
    """A payment is disputed while a dispute is open or after it was lost."""
    previous = payment.status
    others = payment.disputes.exclude(pk=dispute.pk).exclude(status__in=CLOSED - {DisputeStatus.LOST})
    if dispute.status not in CLOSED - {DisputeStatus.LOST}:
        if previous in DISPUTABLE:
            payment.status = PaymentStatus.DISPUTED
    elif previous == PaymentStatus.DISPUTED and not others.exists():
        payment.status = refund_status(payment)
    payment.payout_due = True
    payment.save()
    if payment.status != previous:
        PaymentStatusChange.objects.create(
            payment=payment, from_status=previous, to_status=payment.status, reason="dispute"
        )


def _collect_evidence(dispute: Dispute) -> None:
    """What our books say for us; staff adds to it and submits it at Stripe. No personal data."""
    payment = dispute.payment
    decimals = payment.currency.decimals
    lines = [
        f"Payment {payment.pk} of {format_amount(payment.amount, decimals)} {payment.currency_id}",
        f"made {rfc3339(payment.created_at)}",
        f"Stripe reference {payment.stripe_payment_intent_id}",
    ]
    texts = {EvidenceKind.RECEIPT: "\n".join(lines)}
    refunds = payment.refunds.filter(status=RefundStatus.SUCCEEDED).order_by("id")
    if told := [
        f"{format_amount(row.amount, decimals)} {row.currency_id} on {rfc3339(row.completed_at)}"
        for row in refunds
        if row.completed_at is not None
    ]:
        texts[EvidenceKind.REFUND_HISTORY] = "\n".join(told)
    if payment.description:
        texts[EvidenceKind.PRODUCT_DESCRIPTION] = payment.description
    DisputeEvidence.objects.bulk_create(
        DisputeEvidence(dispute=dispute, kind=kind, content=content) for kind, content in texts.items()
    )


def _due_by(found: dict[str, Any]) -> datetime | None:
    due_by = (found.get("evidence_details") or {}).get("due_by")
    return datetime.fromtimestamp(due_by, UTC) if due_by else None
