"""What comes after a payment went through: refunds and disputes."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from common.times import rfc3339
from payments.models import Dispute, DisputeEvidence, DisputeStatus, EvidenceKind, Refund, RefundStatus
from payments.services.disputes import CLOSED, WITHDRAWN
from payments.services.refund import RefundOrder

from .clock import DAY, NEVER, Clock
from .mails import Mails
from .names import DISPUTE_REASONS
from .payouts import Payouts
from .prices import Tariff
from .sheets import NULL, Sheets, text
from .stories import COMPLETED, DISPUTED, PARTIALLY, REFUNDED, Return, Story
from .tokens import hexadecimal, uuid4
from .webhooks import Webhooks

_OPENED_AFTER, _ANSWERED_AFTER, _CLOSED_AFTER, _DUE_AFTER = 10 * DAY, 14 * DAY, 31 * DAY, 17 * DAY
_ANSWERED = {DisputeStatus.UNDER_REVIEW, DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.WARNING_UNDER_REVIEW}


@dataclass(slots=True)
class Facts:
    """A completed payment, as far as its aftermath has to know it and changes it."""

    payment_id: int
    user_number: int
    user_id: int
    tariff: Tariff
    minor: int
    created: int
    completed: int
    intent: str
    description: str
    status: str = COMPLETED
    refunded: int = 0
    updated: int = 0
    payout_due: bool = False
    changes: list[tuple[str, str, str, int]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """Of each refund, for the evidence."""

    def become(self, status: str, reason: str, moment: int) -> None:
        """Note a new status."""
        if status != self.status:
            self.changes.append((self.status, status, reason, moment))
            self.status = status
        self.updated = moment

    @property
    def by_refunds(self) -> str:
        """The status that the refunds give it."""
        if self.refunded == self.minor:
            return REFUNDED
        return PARTIALLY if self.refunded else COMPLETED


class Aftermath:
    """Writes refunds and disputes."""

    def __init__(
        self, sheets: Sheets, clock: Clock, payouts: Payouts, webhooks: Webhooks, mails: Mails, rng: Random
    ) -> None:
        self.clock, self.payouts, self.webhooks, self.mails, self.rng = clock, payouts, webhooks, mails, rng
        self.refunds = sheets.of(
            Refund,
            "id payment_id amount currency status reason idempotency_key request_fingerprint stripe_refund_id"
            " failure_code started_at finished_at created_at updated_at completed_at",
        )
        self.disputes = sheets.of(
            Dispute,
            "id payment_id stripe_dispute_id amount currency reason status is_withdrawn due_by stripe_event_at"
            " created_at updated_at closed_at",
        )
        self.evidence = sheets.of(DisputeEvidence, "id dispute_id kind content created_at submitted_at")

    def write(self, facts: Facts, story: Story) -> None:
        """All that the story says."""
        for step in story.refunds:
            self._refund(facts, step)
        if story.dispute:
            self._dispute(facts, DisputeStatus(story.dispute))

    def _money(self, facts: Facts, moment: int, minor: int) -> None:
        seen = self.payouts.add(moment, facts.completed, facts.tariff, facts.payment_id, minor)
        facts.payout_due = facts.payout_due or not seen

    def _refund(self, facts: Facts, step: Return) -> None:
        clock, tariff = self.clock, facts.tariff
        left = facts.minor - facts.refunded
        minor = left if step.percent == 100 else max(1, min(left, facts.minor * step.percent // 100))
        begun = facts.completed + step.after
        ended, refund_id = begun + 2, self.refunds.next_id()
        if step.in_dashboard:
            key, fingerprint, started = NULL, "", NULL
        else:
            key, started = uuid4(self.rng), clock.at(begun)
            amount = None if step.percent == 100 else tariff.price(minor).amount
            order = RefundOrder(facts.user_id, facts.payment_id, amount, step.reason, key)
            fingerprint = order.fingerprint()
        status, completed, finished, code, updated = step.status, NULL, clock.at(ended), "", ended
        stripe_id = f"re_{hexadecimal(self.rng, 24)}"
        if status == RefundStatus.SUCCEEDED:
            completed = clock.at(ended)
            facts.refunded += minor
            facts.become(facts.by_refunds, "webhook" if step.in_dashboard else "refund", ended)
            self._money(facts, ended, -minor)
            facts.told.append(f"{tariff.text(minor)} {tariff.code} on {rfc3339(clock.datetime(ended))}")
            self.webhooks.write(ended, "charge.refunded", f"ch_{facts.intent[3:]}")
            self.mails.write(ended, "payment.refunded", facts.user_number, facts.user_id, refund_id)
        elif status == RefundStatus.FAILED:
            stripe_id, code = NULL, "charge_already_refunded"
        else:
            # The answer is still awaited.
            stripe_id, finished, updated = NULL, NULL, begun
        if step.fails_after is not None:
            status, code, updated = RefundStatus.FAILED.value, "expired_or_canceled_card", ended + step.fails_after
            facts.refunded -= minor
            facts.become(facts.by_refunds, "webhook", updated)
            self._money(facts, updated, minor)
            self.webhooks.write(updated, "refund.failed", stripe_id)
        self.refunds.add(
            f"{refund_id}\t{facts.payment_id}\t{tariff.text(minor)}\t{tariff.code}\t{status}\t{step.reason}\t{key}\t"
            f"{fingerprint}\t{stripe_id}\t{code}\t{started}\t{finished}\t{clock.at(begun)}\t{clock.at(updated)}\t"
            f"{completed}\n"
        )

    def _dispute(self, facts: Facts, status: DisputeStatus) -> None:
        clock, tariff = self.clock, facts.tariff
        opened, closed = facts.completed + _OPENED_AFTER, NEVER
        dispute_id, stripe_id = self.disputes.next_id(), f"dp_{hexadecimal(self.rng, 24)}"
        minor = facts.minor - facts.refunded
        self.webhooks.write(opened, "charge.dispute.created", stripe_id)
        seen = opened
        if status in _ANSWERED:
            seen = facts.completed + _ANSWERED_AFTER
            self.webhooks.write(seen, "charge.dispute.updated", stripe_id)
        before = facts.by_refunds
        if status == DisputeStatus.PREVENTED:
            closed = seen
            facts.updated = opened
        else:
            facts.become(DISPUTED, "dispute", opened)
            facts.updated = seen
        if status in WITHDRAWN or status in (DisputeStatus.WON, DisputeStatus.LOST):
            self._money(facts, opened, -minor)
        if status in CLOSED and status != DisputeStatus.PREVENTED:
            closed = seen = facts.completed + _CLOSED_AFTER
            self.webhooks.write(closed, "charge.dispute.closed", stripe_id)
            facts.become(DISPUTED if status == DisputeStatus.LOST else before, "dispute", closed)
        if status == DisputeStatus.WON:
            self._money(facts, closed, minor)
        withdrawn = status in WITHDRAWN or status == DisputeStatus.LOST
        self.disputes.add(
            f"{dispute_id}\t{facts.payment_id}\t{stripe_id}\t{tariff.text(minor)}\t{tariff.code}\t"
            f"{DISPUTE_REASONS[dispute_id % len(DISPUTE_REASONS)]}\t{status.value}\t{'t' if withdrawn else 'f'}\t"
            f"{clock.at(facts.completed + _DUE_AFTER)}\t{clock.at(seen)}\t{clock.at(opened)}\t{clock.at(seen)}\t"
            f"{clock.at(closed) if closed < NEVER else NULL}\n"
        )
        self._collect_evidence(facts, dispute_id, opened, is_answered=status in _ANSWERED)

    def _collect_evidence(self, facts: Facts, dispute_id: int, opened: int, *, is_answered: bool) -> None:
        """What the books say, as `payments.services.disputes` collects it, and what staff adds before answering."""
        lines = [
            f"Payment {facts.payment_id} of {facts.tariff.text(facts.minor)} {facts.tariff.code}",
            f"made {rfc3339(self.clock.datetime(facts.created))}",
            f"Stripe reference {facts.intent}",
        ]
        found = {EvidenceKind.RECEIPT: "\n".join(lines)}
        if facts.told:
            found[EvidenceKind.REFUND_HISTORY] = "\n".join(facts.told)
        if facts.description:
            found[EvidenceKind.PRODUCT_DESCRIPTION] = facts.description
        if is_answered:
            found[EvidenceKind.CUSTOMER_COMMUNICATION] = "The customer confirmed by e-mail that the order came."
            found[EvidenceKind.UNCATEGORIZED_TEXT] = "The card was used here before, without a dispute."
        submitted = self.clock.at(opened + 3 * DAY) if is_answered else NULL
        for kind, content in found.items():
            self.evidence.add(
                f"{self.evidence.next_id()}\t{dispute_id}\t{kind.value}\t{text(content)}\t{self.clock.at(opened)}\t"
                f"{submitted}\n"
            )
