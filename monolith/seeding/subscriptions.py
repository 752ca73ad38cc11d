"""Subscriptions, period by period: what was billed, what was paid, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from random import Random

from payments.models import Coupon, Duration, Interval, InvoiceStatus, Plan, SubscriptionStatus
from payments.money import to_minor
from payments.services.billing import credit_minor, discount_minor
from payments.services.invoice_payments import RETRY_AFTER
from payments.services.periods import period_end

from .clock import DAY, HOUR, Clock
from .people import SETTLING_IN, People
from .prices import Tariff

# The job that renews comes by this long after a period has ended.
_BILLED_AFTER = 120
_PAID_AFTER = 2
# The currency whose plans the users of currencies without plans take.
_COMMON = "USD"


class Kind(Enum):
    """How a subscription goes on."""

    RUNNING = 0
    ENDING = 1  # will be canceled at the end of the period; the next invoice is drafted
    ENDED = 2
    PAST_DUE = 3
    UNCOLLECTIBLE = 4
    UNPAID_AND_CANCELED = 5
    SWITCHED = 6
    INCOMPLETE = 7
    EXPIRED = 8


_DECK = [
    *[Kind.RUNNING] * 24,
    *[Kind.ENDED] * 8,
    *[Kind.SWITCHED] * 3,
    *[Kind.EXPIRED] * 2,
    Kind.ENDING,
    Kind.UNCOLLECTIBLE,
    Kind.UNPAID_AND_CANCELED,
]


@dataclass(slots=True)
class Bill:
    """An invoice."""

    created: int
    start: int
    end: int
    price: int
    discount: int
    credit: int = 0
    credited: Plan | None = None
    credit_end: int = 0
    status: InvoiceStatus = InvoiceStatus.PAID
    updated: int = 0
    invoice_id: int = 0
    number: str = ""
    payment_id: int = 0

    @property
    def total(self) -> int:
        """What is to be paid."""
        return self.price + self.credit - self.discount


@dataclass(slots=True)
class Contract:
    """A subscription."""

    number: int  # of the user
    plan: Plan
    tariff: Tariff
    coupon: Coupon | None
    anchor: int
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    replaces: Contract | None = None
    period: tuple[int, int] = (0, 0)
    next_billing: int = 0
    ends_with_period: bool = False
    failures: int = 0
    updated: int = 0
    canceled: int = 0
    subscription_id: int = 0
    bills: list[Bill] = field(default_factory=list)


@dataclass(slots=True)
class Debit:
    """A payment that an invoice asks for."""

    moment: int
    contract: Contract
    bill: Bill
    is_first: bool
    outcome: str  # paid, failed or open


class Subscriptions:
    """Makes contracts up until their payments are as many as wanted."""

    def __init__(self, people: People, clock: Clock, tariffs: list[Tariff], rng: Random) -> None:
        self.people, self.clock, self.rng = people, clock, rng
        self.tariffs = {tariff.code: tariff for tariff in tariffs}
        self.codes = [tariff.code for tariff in tariffs]
        plans = Plan.objects.filter(is_active=True).select_related("currency").order_by("amount", "id")
        self.plans: dict[str, list[Plan]] = {}
        for plan in plans:
            self.plans.setdefault(plan.currency_id, []).append(plan)
        self.coupons = list(Coupon.objects.select_related("currency").order_by("id"))
        self.contracts: list[Contract] = []
        self.debits: list[Debit] = []

    def make(self, most: int) -> None:
        """Contracts with `most` payments at the most, one of each kind first."""
        users = self._subscribers()
        for kind in Kind:
            if (number := next(users, None)) is None or len(self.debits) + 8 > most:
                break
            monthly = [plan for plan in self._offers(number) if plan.interval == Interval.MONTH]
            self._one(number, kind, self._anchor_of_example(kind, number), monthly or self._offers(1))
        for number in users:
            if len(self.debits) + 30 > most:
                break
            ready = self.people.signup[number] + 2 * SETTLING_IN
            if ready < self.clock.end - DAY:
                kind = self.rng.choice(_DECK)
                anchor = self.rng.randrange(ready, self.clock.end - DAY // 2)
                self._one(number, kind, anchor, self._offers(number))
        self.contracts.sort(key=lambda contract: contract.anchor)
        self.debits.sort(key=lambda debit: debit.moment)

    def _subscribers(self) -> Iterator[int]:
        """Customers who pay with the same card all the time, from the oldest to the newest and round again."""
        people = self.people
        stride = max(1, people.count // 997)
        for first in range(1, stride + 1):
            for number in range(first, people.count + 1, stride):
                stays = not people.is_erased(number) and not people.suspended[number]
                if people.method[number] and number % 6 and stays:
                    yield number

    def _anchor_of_example(self, kind: Kind, number: int) -> int:
        """Recent enough to stand as its kind says when the history ends, and not to cost many payments."""
        end = self.clock.end
        if kind == Kind.INCOMPLETE:
            anchor = end - 15 * 60
        elif kind == Kind.PAST_DUE:
            # A month and a day or two ago.
            last = self.clock.datetime(end - 2 * DAY)
            before = last.replace(day=1) - timedelta(days=1)
            anchor = self.clock.moment(before.replace(day=min(last.day, before.day, 28)))
        else:
            anchor = end - 75 * DAY - number * HOUR
        return max(anchor, self.people.signup[number] + 2 * SETTLING_IN)

    def _offers(self, number: int) -> list[Plan]:
        """The plans in a user's currency, the cheapest first; dollars where there are none."""
        return self.plans.get(self.codes[self.people.tariff[number]]) or self.plans[_COMMON]

    def _one(self, number: int, kind: Kind, anchor: int, offers: list[Plan]) -> None:
        if kind == Kind.SWITCHED and len(offers) < 2:
            offers = self.plans[_COMMON]
        plan = offers[0] if kind == Kind.SWITCHED else offers[number % len(offers)]
        contract = self._contract(number, plan, anchor, self._coupon(number, plan, anchor))
        self._begin(contract, kind)
        if kind == Kind.SWITCHED and contract.status == SubscriptionStatus.ACTIVE and len(offers) > 1:
            self._switch(contract, offers[-1])

    def _coupon(self, number: int, plan: Plan, anchor: int) -> Coupon | None:
        """One subscription in five begins with a coupon that it may use."""
        if number % 5 != 2 and number != 1:
            return None
        now = self.clock.datetime(anchor)
        usable = [
            coupon
            for coupon in self.coupons
            if coupon.is_active
            and (coupon.valid_until is None or coupon.valid_until > now)
            and coupon.max_redemptions is None
            and coupon.currency_id in (None, plan.currency_id)
        ]
        return usable[number // 5 % len(usable)] if usable else None

    def _contract(self, number: int, plan: Plan, anchor: int, coupon: Coupon | None) -> Contract:
        contract = Contract(number, plan, self.tariffs[plan.currency_id], coupon, anchor)
        self.contracts.append(contract)
        return contract

    def _bill(self, contract: Contract, start: int, created: int, coupon: Coupon | None) -> Bill:
        clock, plan = self.clock, contract.plan
        end = clock.moment(period_end(clock.datetime(contract.anchor), clock.datetime(start), plan.interval))
        price = to_minor(plan.amount, contract.tariff.decimals)
        discount = discount_minor(price, coupon, contract.tariff.decimals)
        bill = Bill(created, start, end, price, discount, updated=created + _PAID_AFTER)
        contract.bills.append(bill)
        return bill

    def _pay(
        self, contract: Contract, bill: Bill, moment: int, *, is_first: bool = False, outcome: str = "paid"
    ) -> None:
        self.debits.append(Debit(moment, contract, bill, is_first, outcome))
        bill.updated = contract.updated = moment + _PAID_AFTER
        if outcome == "paid":
            contract.period, contract.next_billing = (bill.start, bill.end), bill.end

    def _begin(self, contract: Contract, kind: Kind) -> None:
        """The first invoice, and the others up to the end of the history."""
        first = self._bill(contract, contract.anchor, contract.anchor, contract.coupon)
        contract.period, contract.next_billing = (first.start, first.end), first.end
        if kind in (Kind.INCOMPLETE, Kind.EXPIRED):
            self._fail_first(contract, first, kind)
            return
        self._pay(contract, first, contract.anchor, is_first=True)
        self._renew(contract, kind)

    def _renew(self, contract: Contract, kind: Kind) -> None:
        lives = self.rng.randrange(1, 9)
        while contract.period[1] + _BILLED_AFTER + 60 < self.clock.end:
            start, lives = contract.period[1], lives - 1
            is_last = self._is_last(contract, start)
            if kind == Kind.ENDED and (lives == 0 or is_last):
                self._end(contract, start + _BILLED_AFTER)
                return
            fails = kind in (Kind.UNCOLLECTIBLE, Kind.UNPAID_AND_CANCELED) and (lives == 0 or is_last)
            if fails or (kind == Kind.PAST_DUE and is_last):
                self._fail_renewal(contract, start, kind)
                return
            if kind == Kind.SWITCHED and lives == 0:
                return
            forever = contract.coupon is not None and contract.coupon.duration == Duration.FOREVER
            bill = self._bill(contract, start, start + _BILLED_AFTER, contract.coupon if forever else None)
            self._pay(contract, bill, start + _BILLED_AFTER)
        if kind == Kind.ENDING:
            self._draft(contract)

    def _is_last(self, contract: Contract, start: int) -> bool:
        """Whether the next renewal would come too late for all that a failing one takes."""
        clock = self.clock
        end = period_end(clock.datetime(contract.anchor), clock.datetime(start), contract.plan.interval)
        return clock.moment(end) + 15 * DAY > clock.end

    def _fail_first(self, contract: Contract, bill: Bill, kind: Kind) -> None:
        waits = kind == Kind.INCOMPLETE and contract.anchor > self.clock.end - 20 * HOUR
        self._pay(contract, bill, contract.anchor, is_first=True, outcome="open" if waits else "failed")
        contract.status = SubscriptionStatus.INCOMPLETE if waits else SubscriptionStatus.INCOMPLETE_EXPIRED
        bill.status = InvoiceStatus.OPEN if waits else InvoiceStatus.VOID

    def _fail_renewal(self, contract: Contract, start: int, kind: Kind) -> None:
        """The card is declined, again and again."""
        moment = start + _BILLED_AFTER
        bill = self._bill(contract, start, moment, None)
        bill.status, contract.status = InvoiceStatus.OPEN, SubscriptionStatus.PAST_DUE
        tries = 2 if kind == Kind.UNPAID_AND_CANCELED else len(RETRY_AFTER) + 1
        for wait in [int(wait.total_seconds()) for wait in RETRY_AFTER[:tries]] + [0] * (tries > len(RETRY_AFTER)):
            if moment + 60 > self.clock.end:
                return
            self._pay(contract, bill, moment, outcome="failed")
            contract.failures += 1
            moment += wait
            contract.next_billing = moment + _PAID_AFTER
        if contract.failures > len(RETRY_AFTER):
            bill.status = InvoiceStatus.UNCOLLECTIBLE
            self._end(contract, bill.updated)
        elif contract.updated + 2 * HOUR < self.clock.end:
            bill.status, bill.updated = InvoiceStatus.VOID, contract.updated + HOUR
            self._end(contract, bill.updated)

    def _end(self, contract: Contract, moment: int) -> None:
        contract.status = SubscriptionStatus.CANCELED
        contract.ends_with_period = contract.failures == 0
        contract.canceled = contract.updated = moment

    def _draft(self, contract: Contract) -> None:
        """An invoice was prepared, and then the customer said that it would not be needed."""
        start = contract.period[1]
        bill = self._bill(contract, start, contract.updated + 60, None)
        bill.status, bill.updated = InvoiceStatus.DRAFT, bill.created
        contract.ends_with_period, contract.updated = True, bill.created

    def _switch(self, old: Contract, plan: Plan) -> None:
        """In the middle of a paid period to a plan that costs more."""
        now = (old.period[0] + min(old.period[1], self.clock.end - HOUR)) // 2
        clock, paid = self.clock, old.bills[-1]
        credit = credit_minor(
            paid.price - paid.discount, clock.datetime(paid.start), clock.datetime(paid.end), clock.datetime(now)
        )
        if now <= old.updated or to_minor(plan.amount, old.tariff.decimals) + credit <= 0:
            return
        new = self._contract(old.number, plan, now, None)
        new.replaces = old
        bill = self._bill(new, now, now, None)
        bill.credit, bill.credited, bill.credit_end = credit, old.plan, old.period[1]
        self._pay(new, bill, now, is_first=True)
        old.status, old.canceled, old.updated = SubscriptionStatus.CANCELED, now + _PAID_AFTER, now + _PAID_AFTER
        self._renew(new, Kind.RUNNING)
