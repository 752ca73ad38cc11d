"""Exchange rates and coupons, and the price list that the migrations brought, as old as the company."""

from __future__ import annotations

from random import Random

from django.db.backends.utils import CursorWrapper

from notifications.models import Template
from payments.models import Coupon, Duration, ExchangeRate, FeeSchedule, LedgerAccount, Plan

from .clock import DAY, DAYS, HOUR, Clock
from .prices import Tariff
from .sheets import NULL, Sheets

_BASES = ("USD", "EUR")
# What a unit of the currency is worth in dollars, in hundred-millionths.
_WORTH = {
    "AUD": 65_800_000,
    "BHD": 265_300_000,
    "CAD": 73_000_000,
    "CHF": 113_600_000,
    "EUR": 108_700_000,
    "GBP": 126_600_000,
    "JPY": 666_000,
    "KRW": 72_500,
    "KWD": 325_700_000,
    "SEK": 9_520_000,
    "USD": 100_000_000,
}
_ONE = 100_000_000
_MIGRATED = (Plan, Coupon, FeeSchedule, LedgerAccount, Template)


def backdate(cursor: CursorWrapper, clock: Clock) -> None:
    """What was there from the beginning is as old as the history, whenever the database was migrated."""
    for model in _MIGRATED:
        cursor.execute(f"UPDATE {model._meta.db_table} SET created_at = %s", [clock.at(0)])


def write_coupons(sheets: Sheets, clock: Clock) -> None:
    """Coupons of every kind: for ever, over, limited, withdrawn."""
    coupons = sheets.of(
        Coupon,
        "id code percent_off amount_off currency duration max_redemptions valid_until is_active created_at",
    )
    forever, once, since = Duration.FOREVER.value, Duration.ONCE.value, clock.at(HOUR)
    over = clock.at(DAYS // 2 * DAY)
    for row in (
        f"PARTNER20\t20\t{NULL}\t{NULL}\t{forever}\t{NULL}\t{NULL}\tt",
        f"SUMMER5\t{NULL}\t5.00\tEUR\t{once}\t{NULL}\t{over}\tt",
        f"FIRST100\t15\t{NULL}\t{NULL}\t{once}\t100\t{NULL}\tt",
        f"STAFF50\t50\t{NULL}\t{NULL}\t{forever}\t{NULL}\t{NULL}\tf",
    ):
        coupons.add(f"{coupons.next_id()}\t{row}\t{since}\n")


def write_rates(sheets: Sheets, clock: Clock, tariffs: list[Tariff], rng: Random) -> None:
    """A rate per day and pair; each day a little up or down."""
    rates = sheets.of(ExchangeRate, "id base quote rate valid_on created_at")
    codes = [tariff.code for tariff in tariffs]
    bases = [base for base in _BASES if base in codes]
    worth = {code: _WORTH.get(code, _ONE) for code in codes}
    for day in range(DAYS):
        noted = clock.at(day * DAY + 6 * HOUR)
        for code in codes:
            if code != "USD":
                worth[code] += worth[code] * rng.randrange(-40, 41) // 10_000
        for base in bases:
            for quote in codes:
                if quote != base:
                    rate = worth[base] * _ONE // worth[quote]
                    rates.add(
                        f"{rates.next_id()}\t{base}\t{quote}\t{rate // _ONE}.{rate % _ONE:08}\t{clock.day(day * DAY)}\t"
                        f"{noted}\n"
                    )
