"""Exact amounts: read from requests, shown with the currency's decimals, turned into minor units."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

# numeric(14,3) has eleven digits before the point.
MAX_INTEGER_DIGITS = 11
_AMOUNT = re.compile(rf"[0-9]{{1,{MAX_INTEGER_DIGITS}}}(\.[0-9]{{1,20}})?")


class BadAmount(ValueError):
    """The text says what is wrong."""


def parse_amount(raw: Any, decimals: int) -> Decimal:
    """An amount in major units, sent as a decimal text or as a JSON number."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal):
        raise BadAmount('must be a decimal text such as "10.00", or a number')
    amount = _decimal(raw)
    places = -int(amount.as_tuple().exponent)
    if places > decimals:
        raise BadAmount(f"has {places} decimals, this currency has {decimals}")
    if amount <= 0:
        raise BadAmount("must be more than zero")
    return amount


def _decimal(raw: str | int | Decimal) -> Decimal:
    if isinstance(raw, str):
        if not _AMOUNT.fullmatch(raw):
            raise BadAmount('must be a decimal text such as "10.00"')
        return Decimal(raw)
    amount = Decimal(raw)
    # Checked before any arithmetic: 1e999999999 is short to write and long to compute with.
    if amount.adjusted() >= MAX_INTEGER_DIGITS:
        raise BadAmount("is too large")
    return amount


def format_amount(amount: Decimal, decimals: int) -> str:
    """An amount with its currency's own number of decimals: 10.00 USD, 500 JPY, 1.250 KWD."""
    return f"{amount:.{decimals}f}"


def to_minor(amount: Decimal, decimals: int) -> int:
    """Minor units; raises when the amount has more decimals than its currency."""
    scaled = amount.scaleb(decimals)
    minor = int(scaled)
    if minor != scaled:
        raise ValueError("the amount has more decimals than its currency")
    return minor


def from_minor(minor: int, decimals: int) -> Decimal:
    """An amount in major units."""
    return Decimal(minor).scaleb(-decimals)
