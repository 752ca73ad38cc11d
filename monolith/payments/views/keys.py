"""The Idempotency-Key header, and the fields that several requests have."""

from __future__ import annotations

import re
from decimal import Decimal

from django.http import HttpRequest

from common.bodies import Body
from common.problems import Problem
from payments.money import BadAmount, parse_amount

_STRIPE_ID = re.compile(r"pm_[A-Za-z0-9_]{1,60}", re.ASCII)
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def idempotency_key(request: HttpRequest) -> str:
    """The request's key; 400 without one."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key:
        raise Problem(
            400,
            "idempotency-key-missing",
            "Idempotency key missing",
            "Send an Idempotency-Key header, such as a UUID made once per payment.",
        )
    if not _KEY.fullmatch(key):
        raise Problem(
            400,
            "idempotency-key-invalid",
            "Idempotency key invalid",
            "An Idempotency-Key has at most 255 printable ASCII characters.",
        )
    return key


def payment_method(body: Body) -> int | str:
    """The id of a payment method, or a Stripe id."""
    value = body.raw("paymentMethodId")
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _STRIPE_ID.fullmatch(value):
        return value
    required = "must be the id of a payment method, or a Stripe id such as pm_card_visa"
    body.fail("paymentMethodId", "is required" if value is None else required)
    return 0


def amount(body: Body, decimals: int) -> Decimal | None:
    """An amount in major units; None, when the field is absent."""
    raw = body.raw("amount")
    if raw is None:
        return None
    try:
        return parse_amount(raw, decimals)
    except BadAmount as error:
        body.fail("amount", str(error))
        return None
