"""Who pays what, when, and how it goes: in the order of time, one-off payments and those of subscriptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from random import Random

from .clock import DAY, Clock
from .moments import moments
from .people import SETTLING_IN, People
from .prices import POINTS, Price, Tariff
from .stories import ASKED, COMPLETED, DONE, FAILED, OPEN, PAID, PENDING, Failure, Story, deck, stripe_charge
from .subscriptions import Debit

# A payment that is told of and due for tonight's payout; in the currency that comes last, and in another.
_DUE_TONIGHT = 3 * DAY
_MOMENTS_AGO = 5 * 60


@dataclass(slots=True)
class Occasion:
    """A payment to be."""

    moment: int
    story: Story
    number: int  # of the user
    tariff: Tariff
    price: Price
    point: int = 0
    debit: Debit | None = None


def _of_invoice(reason: str) -> dict[str, Story]:
    asked = (*ASKED[:2], "invoice", 0)
    paid = (asked, (PENDING, COMPLETED, reason, 2))
    failed = (asked, (PENDING, FAILED, reason, 2))
    declined = (stripe_charge(status="declined"),)
    return {
        "paid": Story(f"{reason} paid", 0, COMPLETED, (stripe_charge(),), paid, 2),
        "failed": Story(f"{reason} failed", 0, FAILED, declined, failed, failure=Failure.DECLINED),
        "open": Story(
            f"{reason} open", 0, PENDING, (stripe_charge(20, "unknown", "APIConnectionError"),), (asked,), intent=False
        ),
    }


_FIRST, _RENEWAL = _of_invoice("subscribe"), _of_invoice("renewal")


class Occasions:
    """Makes them up."""

    def __init__(self, people: People, clock: Clock, tariffs: list[Tariff], rng: Random) -> None:
        self.people, self.clock, self.tariffs, self.rng = people, clock, tariffs, rng
        self._deck = deck()

    def all(self, count: int, debits: list[Debit]) -> Iterator[Occasion]:
        """`count` payments, those of invoices among them."""
        one_off = count - len(debits)
        examples = sorted(self._examples()[:one_off], key=lambda example: example[0])
        usual = ((moment, None) for moment in moments(one_off - len(examples), self.clock))
        renewed = ((debit.moment, debit) for debit in debits)
        settled = 0
        for moment, what in merge(usual, examples, renewed, key=lambda pair: pair[0]):
            while settled < self.people.count and self.people.signup[settled + 1] + 2 * SETTLING_IN <= moment:
                settled += 1
            if isinstance(what, Debit):
                yield self._debit(what)
            else:
                yield self._one_off(moment, what, max(settled, 1))

    def _examples(self) -> list[tuple[int, Story]]:
        """Every story once, however few payments there are: open ones at the age that they can have."""
        end = self.clock.end
        found = [(end - (story.age[0] + story.age[1]) // 2, story) for story in OPEN if story.age is not None]
        found += [(end - _MOMENTS_AGO, PAID), (end - _DUE_TONIGHT, PAID), (end - _DUE_TONIGHT + 60, PAID)]
        # Also one that is for the night before, so that small histories have payouts of every kind.
        found += [(end - 60 * DAY - place * 8 * DAY, story) for place, story in enumerate(DONE)]
        return found

    def _debit(self, debit: Debit) -> Occasion:
        contract = debit.contract
        story = (_FIRST if debit.is_first else _RENEWAL)[debit.outcome]
        price = contract.tariff.price(debit.bill.total)
        return Occasion(debit.moment, story, contract.number, contract.tariff, price, debit=debit)

    def _one_off(self, moment: int, example: Story | None, settled: int) -> Occasion:
        rng, people, end = self.rng, self.people, self.clock.end
        draw = rng.random()
        # Those who came early pay most often.
        number = 1 + int(settled * draw * draw)
        while not people.method_at(number, moment):
            number = number % settled + 1
        home = people.tariff[number] if rng.getrandbits(4) else int(len(self.tariffs) * draw)
        tariff = self.tariffs[home]
        draw = rng.random()
        point = int(POINTS * draw * draw)
        if example is not None:
            tariff = self.tariffs[-1] if moment in (end - _DUE_TONIGHT, end - _MOMENTS_AGO) else tariff
            return Occasion(moment, example, number, tariff, tariff.points[point], point)
        story = self._deck[rng.randrange(len(self._deck))]
        if moment + story.span > end:
            story = self._open(end - moment)
        return Occasion(moment, story, number, tariff, tariff.points[point], point)

    def _open(self, age: int) -> Story:
        """What had begun and was to go on after the history ends: it waits, where that is possible at its age."""
        fitting = [story for story in OPEN if story.age is not None and story.age[0] <= age <= story.age[1]]
        return fitting[self.rng.randrange(len(fitting))] if fitting else PAID
