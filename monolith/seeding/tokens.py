"""Identifiers out of a generator that gives the same ones each time."""

from __future__ import annotations

from random import Random


def hexadecimal(rng: Random, digits: int) -> str:
    """Digits that nobody can guess, were the generator not known."""
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def uuid4(rng: Random) -> str:
    """A random UUID, as clients make them for idempotency keys."""
    raw = f"{rng.getrandbits(128):032x}"
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"


def uuid7(rng: Random, millis: int) -> str:
    """A UUID that begins with its time, as event ids are."""
    raw, time = f"{rng.getrandbits(72):018x}", f"{millis:012x}"
    return f"{time[:8]}-{time[8:]}-7{raw[:3]}-a{raw[3:6]}-{raw[6:]}"
