"""When payments are made: more and more, fewer at weekends, hardly any at night."""

from __future__ import annotations

from collections.abc import Iterator

from .clock import DAY, DAYS, HOUR, Clock

# Share of the day's payments in each hour, UTC.
_HOURS = [12, 8, 6, 5, 5, 7, 14, 25, 40, 52, 58, 60, 62, 60, 58, 57, 58, 60, 62, 60, 52, 42, 30, 19]
_WEEKDAYS = [100, 104, 103, 106, 112, 84, 71]
# Nobody has a card before.
FIRST_DAY = 3


def moments(count: int, clock: Clock) -> Iterator[int]:
    """`count` moments, earliest first."""
    seconds = _seconds_of_day()
    first_weekday = clock.first_day.weekday()
    weights = [0] * FIRST_DAY + [
        (DAYS + 2 * day) * _WEEKDAYS[(first_weekday + day) % 7] * (97 + day * 31 % 7) for day in range(FIRST_DAY, DAYS)
    ]
    total, so_far, made = sum(weights), 0, 0
    for day, weight in enumerate(weights):
        so_far += weight
        today = count * so_far // total - made
        made += today
        for place in range(today):
            yield day * DAY + seconds[(2 * place + 1) * len(seconds) // (2 * today)]


def _seconds_of_day() -> list[int]:
    """The second until which each 4096th part of a day's payments was made; none in the last minute."""
    steps = 4096
    total, result, done = sum(_HOURS), [], 0
    for hour, weight in enumerate(_HOURS):
        first, done = done * steps // total, done + weight
        last = done * steps // total
        result += [min(hour * HOUR + HOUR * (n - first) // (last - first), DAY - 60) for n in range(first, last)]
    return result
