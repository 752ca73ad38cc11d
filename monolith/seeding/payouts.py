"""Payouts: each night what has become due, currency by currency, as the job `create_payouts` would have made them."""

from __future__ import annotations

from array import array
from collections import defaultdict
from random import Random

from payments.models import Payout, PayoutItem, PayoutStatus
from payments.services.create_payouts import SETTLED_AFTER

from .clock import DAY, DAYS, HOUR, Clock
from .prices import Tariff
from .sheets import NULL, Sheets
from .tokens import hexadecimal
from .webhooks import Webhooks

# The job runs at half past two.
_RUN_AT = 2 * HOUR + 30 * 60
_LAST = DAYS - 1
_SETTLED_AFTER = int(SETTLED_AFTER.total_seconds())
# Of so many payouts, those with these places end otherwise than paid.
_TURNS = 97
_FAILED, _CANCELED, _SENT_BACK = 3, 5, 7


def _run_after(moment: int) -> int:
    """The first night whose run sees what happened at a moment."""
    return -((_RUN_AT - moment) // DAY)


class Payouts:
    """Collects what each night has to pay, and writes the payouts when everything else is known."""

    def __init__(self, sheets: Sheets, clock: Clock, tariffs: list[Tariff], webhooks: Webhooks, rng: Random) -> None:
        self.clock, self.tariffs, self.webhooks, self.rng = clock, tariffs, webhooks, rng
        # Payment, amount, payment, amount …: a million payments in little memory.
        self._due = [[array("q") for _ in tariffs] for _ in range(DAYS)]
        self.still_due: set[int] = set()
        """Payments that a failed payout left due after the last run."""
        self.payouts = sheets.of(
            Payout,
            "id currency amount payment_count status stripe_payout_id failure_code started_at created_at updated_at"
            " paid_at",
        )
        self.items = sheets.of(PayoutItem, "id payout_id payment_id amount is_released created_at")

    def add(self, moment: int, completed: int, tariff: Tariff, payment_id: int, minor: int) -> bool:
        """Money came to our balance, or left it; whether a run has seen it."""
        run = _run_after(max(moment, completed + _SETTLED_AFTER))
        if run > _LAST:
            return False
        self._due[run][tariff.index].extend((payment_id, minor))
        return True

    def write(self) -> None:
        """All payouts, by night and currency."""
        for run in range(DAYS):
            for tariff in self.tariffs:
                due = self._due[run][tariff.index]
                owed: dict[int, int] = defaultdict(int)
                for place in range(0, len(due), 2):
                    owed[due[place]] += due[place + 1]
                self._due[run][tariff.index] = array("q")
                owed = {payment_id: minor for payment_id, minor in owed.items() if minor}
                total = sum(owed.values())
                if total > 0:
                    self._write(run, tariff, owed, total)
                elif owed:
                    self._carry(run + 1, tariff, owed)

    def _carry(self, run: int, tariff: Tariff, owed: dict[int, int]) -> None:
        if run > _LAST:
            self.still_due.update(owed)
            return
        for pair in owed.items():
            self._due[run][tariff.index].extend(pair)

    def _write(self, run: int, tariff: Tariff, owed: dict[int, int], total: int) -> None:
        at, payout_id = self.clock.at, self.payouts.next_id()
        begun = run * DAY + _RUN_AT + tariff.index
        arrives = begun + DAY + HOUR
        turn, code, paid, ended, released = payout_id % _TURNS, "", NULL, arrives, False
        status, stripe_id = PayoutStatus.PAID, f"po_{hexadecimal(self.rng, 24)}"
        if run >= _LAST - 1 and arrives >= self.clock.end:
            is_last = tariff is self.tariffs[-1]
            status, ended = (PayoutStatus.PENDING if is_last else PayoutStatus.IN_TRANSIT), begun + 2
            stripe_id = NULL if is_last else stripe_id
        elif turn in (_FAILED, _CANCELED):
            status = PayoutStatus.FAILED if turn == _FAILED else PayoutStatus.CANCELED
            code, released = ("account_closed" if turn == _FAILED else ""), True
        else:
            paid = at(arrives)
            if turn == _SENT_BACK and arrives + 2 * DAY < self.clock.end:
                status, code, ended, released = PayoutStatus.FAILED, "could_not_process", arrives + 2 * DAY, True
        self.payouts.add(
            f"{payout_id}\t{tariff.code}\t{tariff.text(total)}\t{len(owed)}\t{status.value}\t{stripe_id}\t{code}\t"
            f"{at(begun)}\t{at(begun)}\t{at(ended)}\t{paid}\n"
        )
        mark = "t" if released else "f"
        for payment_id, minor in owed.items():
            amount = tariff.text(minor)
            self.items.add(f"{self.items.next_id()}\t{payout_id}\t{payment_id}\t{amount}\t{mark}\t{at(begun)}\n")
        if released:
            self._carry(_run_after(ended), tariff, owed)
        if stripe_id != NULL and ended >= arrives:
            if paid != NULL:
                self.webhooks.write(arrives, "payout.paid", stripe_id)
            if released and status == PayoutStatus.FAILED:
                self.webhooks.write(ended, "payout.failed", stripe_id)
