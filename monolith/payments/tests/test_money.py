"""Exact amounts."""

import json
from decimal import Decimal

import pytest

from payments.money import BadAmount, format_amount, parse_amount, to_minor

GOOD = [
    ("10.00", 2, 1000),
    ("10", 2, 1000),
    ("0.01", 2, 1),
    (10, 2, 1000),
    (Decimal("10.10"), 2, 1010),
    (Decimal("1E+2"), 2, 10000),
    ("500", 0, 500),
    ("1.250", 3, 1250),
    (Decimal("0.001"), 3, 1),
    ("99999999999.99", 2, 9999999999999),
]
BAD = [
    ("10.001", 2),
    ("10.000", 2),
    ("1.5", 0),
    (Decimal("1.0"), 0),
    (Decimal("1E-400"), 2),
    ("0", 2),
    ("0.00", 2),
    ("-1", 2),
    (-1, 2),
    ("1e2", 2),
    ("1_000", 2),
    (" 1", 2),
    ("", 2),
    (".5", 2),
    ("٣", 2),
    ("100000000000", 2),
    (10**11, 2),
    (Decimal("1E+999999999"), 2),
    (True, 2),
    (None, 2),
    ([], 2),
    ("NaN", 2),
    ("Infinity", 2),
]


def test_reads_what_is_exact():
    for raw, decimals, minor in GOOD:
        assert to_minor(parse_amount(raw, decimals), decimals) == minor, raw


def test_refuses_everything_else():
    for raw, decimals in BAD:
        with pytest.raises(BadAmount):
            parse_amount(raw, decimals)


def test_a_json_number_is_never_a_float():
    (amount,) = json.loads("[1.10]", parse_float=Decimal)
    assert format_amount(parse_amount(amount, 2), 2) == "1.10"


def test_shows_the_decimals_of_the_currency():
    stored = Decimal("1500.000")
    assert [format_amount(stored, decimals) for decimals in (0, 2, 3)] == ["1500", "1500.00", "1500.000"]


def test_minor_units_are_never_rounded():
    with pytest.raises(ValueError, match="more decimals"):
        to_minor(Decimal("1.005"), 2)
