"""Writes `vectors.json`: what the monolith's own code answers, which the domain's tests must answer alike.

Run in `monolith/` with its test requirements: `python ../services/payments/golden/make.py`
"""

import itertools
import json
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "monolith.settings_test")
os.environ.setdefault("BANYAN_TEST_POSTGRES_URL", "postgres://nobody@127.0.0.1:1/none")  # settings ask for one; not used
sys.path.insert(0, os.getcwd())

import django

django.setup()

from payments.models import Coupon, Currency, PaymentStatus
from payments.money import BadAmount, format_amount, from_minor, parse_amount, to_minor
from payments.services import settle
from payments.services.billing import credit_minor, discount_minor
from payments.services.charge import Charge
from payments.services.fees import fee_minor
from payments.services.periods import period_end
from payments.services.refund import RefundOrder
from payments.services.subscribe import Order
from payments.stripe_gateway import Result, cancel_key, capture_key, charge_key, payout_key, refund_key

rng = random.Random(42)  # the same vectors each time
TEXTS = [
    "10.00", "10", "0.01", "0010.50", "10.", ".5", "1e2", "+1", "-1", "", " 1", "1 ", "1_000", "0", "0.00", "10.000", "1.2345",
    "1.23456", "99999999999.99", "100000000000", "0." + "0" * 19 + "1", "0." + "0" * 20 + "1", "NaN", "٣", "1\n", "10,00",
    "99999999999.9999", "500",
]  # fmt: skip
NUMBERS = [
    "10", "10.10", "4.35", "1E+2", "1e2", "1e-3", "0", "-0", "0.0", "0e20", "0e5", "-1", "-1.5", "1e10", "1e11", "99999999999",
    "100000000000", "99999999999.99", "1E-400", "1e400", "-1e999999", "1.0", "1.10", "12.5e1", "12.5e-1", "0.00001e5",
    "123456789012345678901234567890", "0.1000000000000000000000000000000000000001", "1e30", "0.5", "500", "0.0001",
]  # fmt: skip
WORDS = ["", "Order 7", "Grüße, 世界 🎉", 'quote " and \\ back', "a/b", "del\x7fnbsp\u00a0", "ÿ\u2028"]


def read(raw, decimals):
    try:
        return {"minor": to_minor(parse_amount(raw, decimals), decimals)}
    except BadAmount as error:
        return {"error": str(error)}


def moment(at):
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def amounts():
    for text, decimals in itertools.product(TEXTS, range(5)):
        yield {"text": text, "decimals": decimals, **read(text, decimals)}
    for number, decimals in itertools.product(NUMBERS, range(5)):
        raw = json.loads(number, parse_float=Decimal)
        yield {"number": number, "decimals": decimals, **read(raw, decimals)}


def formats():
    for minor, decimals in itertools.product([0, 1, 9, 10, 99, 12345, 10**14 - 1, -1, -250], range(5)):
        yield {"minor": minor, "decimals": decimals, "text": format_amount(from_minor(minor, decimals), decimals)}


def charges():
    for words, method, capture in itertools.product(WORDS, [7, 2**40, "pm_card_visa"], [True, False]):
        code, decimals = rng.choice([("USD", 2), ("JPY", 0), ("KWD", 3)])
        user, minor = rng.randrange(1, 2**45), rng.randrange(1, 10**12)
        currency = Currency(code=code, decimals=decimals)
        charge = Charge(user, from_minor(minor, decimals), currency, method, capture, words, "key")
        yield {
            "user": user, "minor": minor, "currency": code, "method": str(method), "capture": capture, "description": words,
            "fingerprint": charge.fingerprint(),
        }  # fmt: skip


def refunds():
    for minor, decimals in itertools.product([None, 1, 10, 100, 120, 1050, 123456, 10**13], range(4)):
        amount = None if minor is None else from_minor(minor, decimals)
        for reason in ["", "duplicate"]:
            order = RefundOrder(1, 2**40 + 7, amount, reason, "key")
            yield {
                "payment": 2**40 + 7, "minor": minor, "decimals": decimals, "reason": reason,
                "fingerprint": order.fingerprint(),
            }  # fmt: skip


def subscriptions():
    for plan, method, coupon in itertools.product([1, 5], [7, "pm_card_visa"], ["", "WELCOME10", "é"]):
        order = Order(1, plan, method, coupon, "key")
        yield {"plan": plan, "method": str(method), "coupon": coupon, "fingerprint": order.fingerprint()}


def keys():
    for client_key in ["k", "with space", "x" * 241, "x" * 242, "x" * 255]:
        yield {"charge": [42, client_key], "key": charge_key(42, client_key)}
        yield {"refund": [2**40, client_key], "key": refund_key(2**40, client_key)}
    yield {"capture": 7, "key": capture_key(7)}
    yield {"cancel": 7, "key": cancel_key(7)}
    yield {"payout": 7, "key": payout_key(7)}


def fees():
    for _ in range(60):
        amount, percent, fixed = rng.randrange(1, 10 ** rng.randrange(1, 14)), rng.randrange(10_001), rng.choice([0, 30, 180])
        yield {"amount": amount, "percentBp": percent, "fixed": fixed, "fee": fee_minor(amount, percent, fixed)}
    for amount in (1000, 1017, 1018, 500, 1):
        yield {"amount": amount, "percentBp": 290, "fixed": 30, "fee": fee_minor(amount, 290, 30)}


def periods():
    anchors = [
        datetime(2024, 1, 31, 12, tzinfo=UTC), datetime(2024, 2, 29, 23, 59, 59, 999999, UTC),
        datetime(2023, 12, 30, tzinfo=UTC), datetime(2025, 8, 15, 8, 30, 0, 123456, UTC),
    ]  # fmt: skip
    for anchor, interval in itertools.product(anchors, ["month", "year"]):
        start = anchor
        for _ in range(14):
            end = period_end(anchor, start, interval)
            yield {"anchor": moment(anchor), "start": moment(start), "interval": interval, "end": moment(end)}
            start = end


def credits():
    start = datetime(2024, 1, 31, 12, tzinfo=UTC)
    for _ in range(60):
        end = start + timedelta(days=rng.choice([28, 30, 31, 365]), microseconds=rng.randrange(10**6))
        now = start + timedelta(microseconds=rng.randrange(-(10**12), 4 * 10**13))
        paid = rng.randrange(0, 10 ** rng.randrange(1, 12))
        yield {
            "paid": paid, "start": moment(start), "end": moment(end), "now": moment(now),
            "credit": credit_minor(paid, start, end, now),
        }  # fmt: skip


def discounts():
    for price in [1, 99, 999, 2900, 10**13]:
        for percent in [1, 10, 33, 100]:
            coupon = Coupon(percent_off=percent)
            yield {"price": price, "percent": percent, "discount": discount_minor(price, coupon, 2)}
        for off in [1, 500, 10**12]:
            coupon = Coupon(amount_off=from_minor(off, 2))
            yield {"price": price, "off": off, "discount": discount_minor(price, coupon, 2)}


def transitions():
    """Every pair of status and result: the status that follows, or null."""
    for status, result in itertools.product(PaymentStatus, Result):
        follows = settle._STATUS.get(result)
        allowed = follows is not None and follows in settle._NEXT.get(status, ())
        yield {"status": status.value, "result": result.value, "next": follows.value if allowed else None}


def attempts():
    """How each call ends by each result."""
    for operation, result in itertools.product(["charge", "capture", "cancel"], Result):
        for status, reason in itertools.product(["started", "unknown"], ["charge", "capture", "cancel", "webhook"]):
            attempt = SimpleNamespace(operation=operation, status=status, amount=None, save=lambda: None)
            payment = SimpleNamespace(attempts=SimpleNamespace(filter=lambda **_: [attempt]))  # noqa: B023
            settle._close_attempts(payment, SimpleNamespace(result=result, code=""), reason, None)
            ended = attempt.status if hasattr(attempt, "finished_at") else None
            yield {
                "operation": operation, "result": result.value, "status": status, "reason": reason,
                "ended": ended and str(ended),
            }  # fmt: skip


VECTORS = [
    amounts, formats, charges, refunds, subscriptions, keys, fees, periods, credits, discounts, transitions, attempts,
]  # fmt: skip

if __name__ == "__main__":
    blocks = []
    for make in VECTORS:
        rows = ",\n".join("  " + json.dumps(row, sort_keys=True) for row in make())
        blocks.append(f'"{make.__name__}": [\n{rows}\n]')
    Path(__file__).with_name("vectors.json").write_text("{\n" + ",\n".join(blocks) + "\n}\n")
