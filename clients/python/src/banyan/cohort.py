"""Who is in a rollout: the same decision as nginx's `split_clients` and the services in Rust."""

from __future__ import annotations

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF
FULL = 10_000
"""Basis points of everybody."""


def murmur2(data: bytes) -> int:
    """Return the 32-bit MurmurHash2 with seed 0, as nginx computes it."""
    h = len(data) & _MASK
    end = len(data) & ~3
    for start in range(0, end, 4):
        block = int.from_bytes(data[start : start + 4], "little") * _M & _MASK
        block = (block ^ block >> 24) * _M & _MASK
        h = h * _M & _MASK ^ block
    if end < len(data):
        h = (h ^ int.from_bytes(data[end:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def in_cohort(rollout: str, user_id: int | None, basis_points: int) -> bool:
    """Tell whether a user is in the new cohort of `rollout` at `basis_points` (1/100 %).

    Who is in stays in as the share grows. Nobody (None, an anonymous request) is never in: a hash of nothing would put
    all of that traffic on one side at once. No id below 1 is anybody's.

    Raises:
        TypeError: the id is not an integer.
        ValueError: the basis points are not between 0 and 10000.

    """
    if isinstance(user_id, bool) or not isinstance(user_id, int | None):
        raise TypeError(f"user_id must be an int, not {type(user_id).__name__}; pass user.pk")
    if not 0 <= basis_points <= FULL:
        raise ValueError(f"basis_points must be between 0 and {FULL}, not {basis_points}")
    if user_id is None or user_id < 1:
        return False
    # The share of 100 % leaves the highest hash out, and everybody means everybody.
    return basis_points == FULL or murmur2(f"{rollout}:{int(user_id)}".encode()) < basis_points * _MASK // FULL


def position(rollout: str, user_id: int | None) -> int | None:
    """Return the lowest share, in basis points, at which a user is in the new cohort; None for nobody's id."""
    if user_id is None or user_id < 1:
        return None
    # The lowest whose limit, rounded down, is above the hash.
    above = (murmur2(f"{rollout}:{int(user_id)}".encode()) + 1) * FULL
    return min(-(-above // _MASK), FULL)
