"""Accounts: when they were opened, how they are paid with, and when they went."""

from __future__ import annotations

from array import array
from random import Random

from users.models import Channel

from .clock import DAY, HOUR, NEVER, Clock
from .prices import Tariff

# Payments begin this long after a user signed up: the card is there by then.
SETTLING_IN = DAY
# The last ones signed up within the last two days, so that there are links and sessions of every age.
_NEWEST = 6
ERASED, SUSPENDED, STAFF = 7, 11, 2


class People:
    """What later parts have to know of each user, by the user's number from 1 on; the id is `first_id` and up."""

    def __init__(self, count: int, last_id: int, clock: Clock, tariffs: list[Tariff], rng: Random) -> None:
        self.count = count
        self.last_id = last_id
        self.numbers = range(1, count + 1)
        none = array("q", [0]) * (count + 1)
        self.signup, self.gone, self.switch = none[:], none[:], none[:]
        self.customer, self.method, self.next_method = none[:], none[:], none[:]
        self.tariff = bytearray(count + 1)
        self.suspended = bytearray(count + 1)
        self.mails_off = bytearray(count + 1)
        self.digest = bytearray(count + 1)
        self.channel = [Channel.EMAIL.value] * (count + 1)
        markets = [tariff.index for tariff in tariffs for _ in range(tariff.weight)]
        for number in self.numbers:
            self._begin(number, clock, rng)
            self.tariff[number] = markets[rng.randrange(len(markets))]

    def _begin(self, number: int, clock: Clock, rng: Random) -> None:
        # The company grows: every day a few more sign up than the day before.
        share = (number - 1) / self.count
        signup = int((clock.end - 3 * DAY) * share**0.6)
        left = self.count - number
        if left < _NEWEST and number > 1:
            signup = max(signup, clock.end - (left + 1) * 7 * HOUR)
        self.signup[number] = signup
        self.gone[number] = NEVER
        if number > 3 and (number == ERASED or number % 47 == 20):
            settled = signup + 10 * DAY
            self.gone[number] = rng.randrange(settled, clock.end) if settled < clock.end else NEVER
        self.suspended[number] = number == SUSPENDED or number % 311 == 200

    def is_erased(self, number: int) -> bool:
        """Whether the account was erased."""
        return self.gone[number] < NEVER

    def is_staff(self, number: int) -> bool:
        """Whether the user is one of us."""
        return number == min(STAFF, self.count) or (number % 5000 == STAFF and not self.is_erased(number))

    def pays(self, number: int) -> bool:
        """Four out of five are customers, the first one for certain."""
        return number == 1 or number % 5 != 0

    def id(self, number: int) -> int:
        """The id of the row."""
        return self.last_id + number

    def method_at(self, number: int, moment: int) -> int:
        """The card that the user pays with then; 0 for those who do not pay then."""
        if not self.method[number] or moment >= self.gone[number]:
            return 0
        return self.method[number] if moment < self.switch[number] else self.next_method[number]
