"""UUID version 7. The standard library has it from Python 3.14 on; until then RFC 9562 needs only this."""

from __future__ import annotations

import secrets
import time
from uuid import UUID


def uuid7(nanoseconds: int | None = None) -> UUID:
    """Return a UUIDv7 of now, or of the given nanoseconds since the epoch.

    RFC 9562 section 5.7 with method 3 of section 6.2: the 12 bits after the version carry the fraction of the
    millisecond, so ids made one after the other sort so. Nothing is remembered between calls, so threads and
    forked processes cannot collide.
    """
    milliseconds, rest = divmod(time.time_ns() if nanoseconds is None else nanoseconds, 1_000_000)
    fraction = rest * 4096 // 1_000_000
    return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | secrets.randbits(62))
