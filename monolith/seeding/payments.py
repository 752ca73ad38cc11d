"""Payments, from the first one to the last, with everything that hangs on each."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from payments.models import Fee, Payment, PaymentAttempt, PaymentStatusChange
from payments.services.charge import Charge
from payments.stripe_gateway.keys import cancel_key, capture_key, charge_key

from .aftermath import Aftermath, Facts
from .clock import Clock
from .mails import Mails
from .names import DECLINES, ORDERS
from .occasions import Occasion
from .payouts import Payouts
from .people import People
from .sheets import NULL, Sheets
from .stories import ACTION, CANCELED, CAPTURE, COMPLETED, FAILED, Failure, Hold, Story
from .tokens import uuid4
from .webhooks import Webhooks

_BLOCK = 2000
_EVENTS = {
    COMPLETED: "payment_intent.succeeded",
    FAILED: "payment_intent.payment_failed",
    CANCELED: "payment_intent.canceled",
    CAPTURE: "payment_intent.amount_capturable_updated",
    ACTION: "payment_intent.requires_action",
}
_NOT_PROCESSED = ("not_processed", "The payment was not processed.")
_REFUSED_CARD = "pm_card_visa_chargeDeclined"


class Payments:
    """Writes payments."""

    def __init__(
        self,
        sheets: Sheets,
        people: People,
        clock: Clock,
        payouts: Payouts,
        webhooks: Webhooks,
        mails: Mails,
        rng: Random,
    ) -> None:
        self.sheets, self.people, self.clock, self.rng = sheets, people, clock, rng
        self.payouts, self.webhooks, self.mails = payouts, webhooks, mails
        self.aftermath = Aftermath(sheets, clock, payouts, webhooks, mails, rng)
        self.payments = sheets.of(
            Payment,
            "id user_id customer_id payment_method_id currency amount amount_refunded status capture amount_authorized"
            " off_session payout_due description idempotency_key request_fingerprint stripe_payment_intent_id"
            " failure_code failure_message created_at updated_at completed_at",
        )
        self.attempts = sheets.of(
            PaymentAttempt,
            "id payment_id number operation amount stripe_idempotency_key status error_code started_at finished_at",
        )
        self.changes = sheets.of(PaymentStatusChange, "id payment_id from_status to_status reason created_at")
        self.fees = sheets.of(Fee, "id payment_id schedule_id amount currency created_at")

    def blocks(self, occasions: Iterator[Occasion]) -> Iterator[bytes]:
        """Write payments, and give their own rows away block by block."""
        for count, occasion in enumerate(occasions, 1):
            self._write(occasion)
            if count % _BLOCK == 0:
                self.sheets_but_payments_keep()
                yield self.payments.take()
        yield self.payments.take()

    def sheets_but_payments_keep(self) -> None:
        """Put what hangs on payments into files."""
        for sheet in self.sheets.all():
            if sheet is not self.payments:
                sheet.keep()

    def _write(self, occasion: Occasion) -> None:
        story, moment, number, tariff = occasion.story, occasion.moment, occasion.number, occasion.tariff
        rng, at, people = self.rng, self.clock.at, self.people
        payment_id, user_id = self.payments.next_id(), people.last_id + number
        method = NULL if story.failure is Failure.REFUSED_CARD else people.method_at(number, moment)
        asked = price = occasion.price
        if story.hold is Hold.PART_TAKEN:
            # What is taken in the end is a little less than what was reserved.
            asked = tariff.points[min(occasion.point + 8, len(tariff.points) - 1)]
        debit = occasion.debit
        if debit is None:
            description, key = ORDERS[rng.getrandbits(8) % len(ORDERS)], uuid4(rng)
            wanted = _REFUSED_CARD if method is NULL else method
            charge = Charge(user_id, asked.amount, tariff.currency, wanted, story.hold is Hold.NO, description, key)
            fingerprint = charge.fingerprint()
        else:
            debit.bill.payment_id, fingerprint = payment_id, ""
            description, key = f"Invoice {debit.bill.number}", f"invoice:{debit.bill.invoice_id}:{uuid4(rng)}"
        intent = f"pi_{rng.getrandbits(96):024x}" if story.intent else NULL

        code, message = self._failure(story, payment_id)
        self._write_calls(story, payment_id, moment, charge_key(user_id, key), price.text, code)
        status, updated, due, refunded, completed = story.status, moment, "f", "0", NULL
        add_change, next_change = self.changes.add, self.changes.next_id
        for before, after, reason, later in story.changes:
            updated = moment + later
            add_change(f"{next_change()}\t{payment_id}\t{before}\t{after}\t{reason}\t{at(updated)}\n")
            if later and story.intent:
                self.webhooks.write(updated, _EVENTS[after], intent)
        if story.completed is not None:
            done = moment + story.completed
            completed = at(done)
            is_paid_out = self.payouts.add(done, done, tariff, payment_id, price.minor - price.fee_minor)
            if price.fee_minor:
                self.fees.add(
                    f"{self.fees.next_id()}\t{payment_id}\t{tariff.schedule_id}\t{price.fee_text}\t{tariff.code}\t"
                    f"{completed}\n"
                )
            self.mails.write(done, "payment.completed", number, user_id, payment_id)
            if story.refunds or story.dispute:
                facts = Facts(payment_id, number, user_id, tariff, price.minor, moment, done, intent, description)
                facts.payout_due, facts.updated = not is_paid_out, done
                self.aftermath.write(facts, story)
                for before, after, reason, when in facts.changes:
                    add_change(f"{next_change()}\t{payment_id}\t{before}\t{after}\t{reason}\t{at(when)}\n")
                status, updated, is_paid_out = facts.status, facts.updated, not facts.payout_due
                refunded = tariff.text(facts.refunded)
            due = "f" if is_paid_out else "t"
        elif status == FAILED:
            self.mails.write(updated, "payment.failed", number, user_id, payment_id)
        amount = price.text if story.completed is not None else asked.text
        authorized = NULL if story.hold is Hold.NO else asked.text
        self.payments.add(
            f"{payment_id}\t{user_id}\t{people.customer[number]}\t{method}\t{tariff.code}\t{amount}\t{refunded}\t{status}\t"
            f"{'t' if story.hold is Hold.NO else 'f'}\t{authorized}\t"
            f"{'f' if debit is None or debit.is_first else 't'}\t{due}\t{description}\t{key}\t{fingerprint}\t{intent}\t"
            f"{code if status == FAILED else ''}\t{message if status == FAILED else ''}\t{at(moment)}\t{at(updated)}\t"
            f"{completed}\n"
        )

    def _failure(self, story: Story, payment_id: int) -> tuple[str, str]:
        """Why it failed."""
        if story.failure is Failure.NONE:
            return "", ""
        return _NOT_PROCESSED if story.failure is Failure.NOT_PROCESSED else DECLINES[payment_id % len(DECLINES)]

    def _write_calls(self, story: Story, payment_id: int, moment: int, key: str, amount: str, code: str) -> None:
        at = self.clock.at
        for place, call in enumerate(story.calls, 1):
            asked = NULL
            if call.operation == "capture":
                key, asked = capture_key(payment_id), amount
            elif call.operation == "cancel":
                key = cancel_key(payment_id)
            error = call.code or (code if call.status == "declined" else "")
            finished = NULL if call.ended is None else at(moment + call.ended)
            self.attempts.add(
                f"{self.attempts.next_id()}\t{payment_id}\t{place}\t{call.operation}\t{asked}\t{key}\t{call.status}\t"
                f"{error}\t{at(moment + call.begun)}\t{finished}\n"
            )
