"""What things cost, currency by currency: amounts, their texts and fees, worked out once by the domain's own rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from payments.models import Currency, FeeSchedule
from payments.money import format_amount, from_minor, to_minor
from payments.services.fees import fee_minor

POINTS = 512
# How many percent of the business a currency is, what a US dollar is in its minor units, what prices are rounded to.
_MARKETS = {
    "USD": (38, 100, 1),
    "EUR": (24, 92, 1),
    "GBP": (11, 79, 1),
    "JPY": (8, 150, 10),
    "KWD": (4, 307, 5),
    "CAD": (3, 137, 1),
    "AUD": (3, 152, 1),
    "CHF": (3, 88, 5),
    "BHD": (2, 376, 5),
    "SEK": (2, 1050, 100),
    "KRW": (2, 1380, 100),
}
_OTHER_MARKET = (1, 100, 1)


@dataclass(frozen=True, slots=True)
class Price:
    """An amount and its fee."""

    minor: int
    amount: Decimal
    text: str
    fee_minor: int
    fee_text: str


class Tariff:
    """The prices of one currency."""

    def __init__(self, index: int, currency: Currency, schedule: FeeSchedule | None) -> None:
        self.index = index
        self.currency = currency
        self.code = currency.code
        self.decimals = currency.decimals
        self.schedule = schedule
        self.schedule_id = schedule.pk if schedule else None
        self.weight, per_dollar, step = _MARKETS.get(currency.code, _OTHER_MARKET)
        self._known: dict[int, Price] = {}
        self._texts: dict[int, str] = {}
        # From 2 to about 2,000 dollars, each a little above the one before: most people buy cheap things.
        cents = [int(199 * 1.0136**point) for point in range(POINTS)]
        self.points = [self.price(max(step, cent * per_dollar // 100 // step * step)) for cent in cents]

    def price(self, minor: int) -> Price:
        """An amount of minor units."""
        if minor not in self._known:
            self._known[minor] = self._price(minor)
        return self._known[minor]

    def _price(self, minor: int) -> Price:
        fee = 0
        if self.schedule is not None:
            fee = fee_minor(minor, self.schedule.percent_bp, to_minor(self.schedule.fixed, self.decimals))
        return Price(minor, from_minor(minor, self.decimals), self.text(minor), fee, self.text(fee))

    def text(self, minor: int) -> str:
        """Minor units as a column holds them."""
        if minor not in self._texts:
            self._texts[minor] = format_amount(from_minor(minor, self.decimals), self.decimals)
        return self._texts[minor]


def tariffs(start: datetime) -> list[Tariff]:
    """Every currency that payments can be made in, with the fees that were valid when the history begins."""
    valid = FeeSchedule.objects.filter(valid_from__lte=start).order_by("valid_from")
    schedules = {schedule.currency_id: schedule for schedule in valid}
    currencies = Currency.objects.filter(is_active=True).order_by("code")
    return [Tariff(n, currency, schedules.get(currency.code)) for n, currency in enumerate(currencies)]
