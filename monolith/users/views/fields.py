"""Body fields that several operations share."""

from __future__ import annotations

import re

from common.bodies import Body
from users.services.erasure import ERASED_DOMAIN

_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", re.ASCII)


def address(body: Body) -> str:
    """A new e-mail address of an account."""
    value = body.email("email")
    if value.endswith("@" + ERASED_DOMAIN):
        body.fail("email", "is not an e-mail address")
    return value


def password(body: Body, name: str = "password") -> str:
    """A password as typed. The upper bound keeps hashing from being used to burn time."""
    return body.text(name, max_length=256, strip=False)


def locale(body: Body) -> str:
    """A BCP 47 language tag."""
    value = body.text("locale", max_length=35, default="en")
    if value and not _LANGUAGE_TAG.fullmatch(value):
        body.fail("locale", "is not a language tag such as en or pt-BR")
    return value
